"""The invented shop's themes: what each sells, in which department. Data for make_shop.py.

Each theme is a latent interest with six kinds of thing, ordered from what a beginner buys to what an
expert buys. Every kind comes in three variants, so that a title never seen before still holds words
that were.
"""

from __future__ import annotations

DEPARTMENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Garden & Nature": {
        "bonsai growing": ("Bonsai Starter Tree", "Bonsai Pot", "Root Rake", "Branch Wire", "Concave Cutter", "Akadama Soil"),
        "bird watching": ("Bird Guide", "Seed Feeder", "Nest Box", "Compact Binoculars", "Spotting Scope", "Hide Tent"),
        "mushroom growing": ("Oyster Grow Kit", "Grain Spawn", "Mycelium Plug", "Humidity Tent", "Spore Print Card", "Substrate Steamer"),
        "beekeeping": ("Hive Smoker", "Bee Veil", "Brood Frame", "Honey Extractor", "Queen Cage", "Wax Foundation"),
    },
    "Arts & Crafts": {
        "watercolour painting": ("Watercolour Pan Set", "Round Brush", "Cold Press Paper", "Masking Fluid", "Mixing Palette", "Sable Mop"),
        "bookbinding": ("Bone Folder", "Waxed Linen Thread", "Binding Awl", "Book Cloth", "Sewing Frame", "Nipping Press"),
        "pottery throwing": ("Stoneware Clay", "Loop Trimmer", "Throwing Bat", "Celadon Glaze", "Pottery Wheel", "Kiln Shelf"),
        "lace knitting": ("Merino Skein", "Circular Needle", "Stitch Marker", "Blocking Mat", "Mohair Lace Yarn", "Shawl Pin"),
    },
    "Kitchen & Cellar": {
        "home brewing": ("Brewing Bucket", "Pale Malt", "Hop Pellets", "Airlock", "Wort Chiller", "Keg Coupler"),
        "espresso making": ("Espresso Cup", "Milk Jug", "Coffee Tamper", "Burr Grinder", "Portafilter", "Knock Box"),
        "cheese making": ("Rennet Drops", "Cheese Cloth", "Curd Knife", "Mould Hoop", "Cheese Press", "Ripening Box"),
        "pickling": ("Fermenting Crock", "Glass Weight", "Brine Salt", "Mason Jar", "Cabbage Slicer", "Kimchi Flakes"),
    },
    "Outdoor & Sport": {
        "rock climbing": ("Climbing Shoes", "Chalk Bag", "Belay Device", "Dynamic Rope", "Quickdraw Set", "Crash Pad"),
        "sea kayaking": ("Kayak Paddle", "Spray Deck", "Buoyancy Vest", "Dry Sack", "Bilge Pump", "Tow Line"),
        "table tennis": ("Table Tennis Bat", "Training Balls", "Clip-on Net", "Pimple Rubber", "Rubber Glue", "Ball Robot"),
        "winter camping": ("Down Sleeping Bag", "Insulated Mat", "Snow Peg", "Hot Tent", "Folding Wood Stove", "Pulk Sled"),
    },
    "Music & Sound": {
        "ukulele playing": ("Soprano Ukulele", "Ukulele Strings", "Chord Book", "Clip Tuner", "Ukulele Gig Bag", "Tenor Ukulele"),
        "record collecting": ("Record Sleeve", "Vinyl Brush", "Turntable", "Stylus Gauge", "Phono Preamp", "Record Crate"),
        "synthesizer building": ("Breadboard Synth Kit", "Patch Cable", "Oscillator Module", "Filter Module", "Eurorack Case", "Sequencer Module"),
    },
    "Workshop & Science": {
        "amateur astronomy": ("Star Chart", "Red Torch", "Plossl Eyepiece", "Dobsonian Telescope", "Moon Filter", "Equatorial Mount"),
        "model railways": ("Track Oval Set", "Steam Locomotive", "Goods Wagon", "Station Kit", "Points Motor", "Digital Controller"),
        "film photography": ("35mm Film Roll", "Film Camera", "Light Meter", "Developing Tank", "Fixer Bath", "Darkroom Enlarger"),
        "wood carving": ("Basswood Block", "Carving Knife", "Hook Gouge", "Leather Strop", "Cut-proof Glove", "Relief Mallet"),
        "aquarium keeping": ("Nano Fish Tank", "Sponge Filter", "Aquarium Gravel", "Plant Lamp", "Water Test Kit", "CO2 Diffuser"),
    },
}  # fmt: skip

MAKERS = (
    "Alderbrook", "Bexley & Dunn", "Corvane", "Dunmarrow", "Elverton", "Farrowmill", "Gildan Works", "Hartsedge",
    "Ivenholt", "Juniper Row", "Kestrel Yard", "Lowmoor", "Marlin & Finch", "Nettlefold Lane", "Orrin", "Pendlewick",
)  # fmt: skip
VARIANTS = (
    "Classic", "Compact", "Deluxe", "Everyday", "Featherweight", "Heritage", "Large", "Pocket", "Professional",
    "Refillable", "Slim", "Starter", "Studio", "Sturdy", "Traveller's", "Twin Pack",
)  # fmt: skip
PURPOSES = (
    "for the first steps and for every day",
    "made to last and easy to clean",
    "tried and liked by people who know what they want",
    "small enough for any shelf",
    "with a booklet that explains how it is used",
    "a present that is really used",
)
