"""Published sets and exports of shops: small files of their forms, made here; histories and titles that come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.records import Item
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, run, titles

ORDERS = "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Id\n"
PRODUCTS = "Handle,Title,Body (HTML),Vendor,Type,Variant SKU,Image Src\n"
SETS: dict[str, tuple[dict[str, str], dict[str, list[str]], dict[str, str]]] = {
    # files of a folder, histories, titles
    "mind": (
        {
            "behaviors.tsv": "1\tU1\t11/15/2019 8:55:22 PM\tN1 N2\tN3-1 N4-0\n2\tU1\t11/15/2019 9:01:00 AM\tN1 N2\tN4-1 N5-1\n"
            "3\tU2\t11/16/2019 1:00:00 AM\t\tN1-0 N3-1\n4\tU3\t11/16/2019 1:00:00 AM\t\tN1-0\n",
            "news.tsv": 'N1\tsports\tgolf\tThe "Big" One\tText\thttps://x/1\t[{"Label": "x"}]\t[]\n'
            'N2\tnews\tworld\t"Odd Al" sings\t\thttps://x/2\t[]\t[]\nN3\tnews\tus\t"Heroes\t\thttps://x/3\t[]\t\n',
            "entity_embedding.vec": "Q1\t0.1\n",
        },
        {"U1": ["N1", "N2", "N4", "N5", "N3"], "U2": ["N3"]},
        {"N1": 'The "Big" One', "N2": '"Odd Al" sings', "N3": '"Heroes', "N4": "N4", "N5": "N5"},
    ),
    "instacart": (
        {
            "orders.csv": "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n"
            "11,1,prior,2,1,08,3.0\n10,1,prior,1,2,08,\n12,1,train,10,1,07,2.0\n13,2,prior,1,1,07,\n14,2,test,2,1,07,5.0\n",
            "order_products__prior.csv": "order_id,product_id,add_to_cart_order,reordered\n11,5,1,1\n10,7,2,0\n10,5,1,0\n"
            + "13,9,1,0\n",
            "order_products__train.csv": "order_id,product_id,add_to_cart_order,reordered\n12,8,1,0\n",
            "products.csv": 'product_id,product_name,aisle_id,department_id\n5,Tea,1,1\n7,"Wool, red",2,2\n8,Jam,1,1\n',
        },
        {"1": ["5", "7", "5", "8"], "2": ["9"]},
        {"5": "Tea", "7": "Wool, red", "8": "Jam", "9": "9"},
    ),
    "shopify": (
        {
            "orders_export_1.csv": ORDERS + "#2,b@x.org,paid,2024-02-01 10:00:00 +0100,1,Tea - Green,3,T-1,7\n"
            "#1,a@x.org,paid,2024-01-01 10:00:00 +0100,1,Wool,3,W,6\n#1,a@x.org,,,2,Gift Card,3,,\n#1,,,,1,Tea - Green,3,T-1,\n",
            "products_export.csv": PRODUCTS + "tea,Tea,<p>Fine</p>,V,Food > Tea,T-1,x\ntea,,,,,T-2,\ntea,,,,,,y\nw,Wool,,V,,W,\n",
        },
        {"a@x.org": ["W", "Gift Card", "T-1"], "b@x.org": ["T-1"]},
        {"W": "Wool", "T-1": "Tea", "Gift Card": "Gift Card"},
    ),
    "woocommerce": (
        {
            "orders.csv": '"Order Number","Order Status","Order Date","Email (Billing)","SKU","Item #","Item Name","Quantity"\n'
            "7,wc-completed,2024-01-31 10:00,a@x.org,T1,1,Tea,2\n7,wc-completed,2024-01-31 10:00,a@x.org,W1,2,Wool,1\n"
            "8,wc-completed,2024-02-01 09:00,b@x.org,T1,1,Tea,1\n",
            "wc-product-export.csv": 'ID,Type,SKU,Name,Published,"Short description",Description,Categories\n'
            '1,simple,T1,Green tea,1,,Fine,"Food > Tea, Gifts"\n2,simple,W1,Red wool,1,,,Yarn\n',
        },
        {"a@x.org": ["T1", "W1"], "b@x.org": ["T1"]},
        {"T1": "Green tea", "W1": "Red wool"},
    ),
    "retailrocket": (
        {"events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332119,1,addtocart,8,\n1433221332117,1,view,7,\n"},
        {"1": ["7", "8"]},
        {"7": "7", "8": "8"},
    ),
    "lastfm-2k": (
        {
            "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n3\t51\t12\n",
            "artists.dat": 'id\tname\turl\tpictureURL\n51\tDuran\thttp://x\ty\n52\t"Odd" Band\thttp://x\t\n',
            "tags.dat": "tagID\ttagValue\n1\tmetal\n",
        },
        {"2": ["51", "52"], "3": ["51"]},
        {"51": "Duran", "52": '"Odd" Band'},
    ),
    "book-crossing": (
        {
            "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"7";"0155";"0"\n"7";"0521";"3"\n;;\n;;\n',
            "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author"\n"0155";"Say \\"hi\\"; now";"A"\n"0521";"Help!: L&amp;M";"B"\n',
        },
        {"7": ["0155", "0521"]},
        {"0155": 'Say "hi"; now', "0521": "Help!: L&M"},
    ),
    "hm": (
        {
            "transactions_train.csv": "t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-21,00a,0108,0.05,2\n"
            "2018-09-20,00a,0109,0.03,2\n",
            "articles.csv": "article_id,product_code,prod_name,product_type_name,detail_desc\n0108,01,Strap top,Vest,Jersey top\n"
            "0109,02,Socks,Socks,\n",
        },
        {"00a": ["0109", "0108"]},
        {"0109": "Socks", "0108": "Strap top"},
    ),
    "kuairec": (
        {
            "big_matrix.csv": "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
            "0,149,13838,10867,2020-07-05 00:08:25.438,20200705.0,1593878905.438,1.2\n"
            "0,183,13665,10984,2020-07-05 00:08:23.297,20200705.0,1593878903.297,1.2\n",
            "kuairec_caption_category.csv": "video_id,manual_cover_text,caption,topic_tag,first_level_category_name\n"
            '149,UNKNOWN,"Tea, hot",[],Food\n183,UNKNOWN,Wool,[],Home\n',
        },
        {"0": ["183", "149"]},
        {"183": "Wool", "149": "Tea, hot"},
    ),
    "kuairand": (
        {
            "log_standard_4_22_to_5_08_pure.csv": "user_id,video_id,date,hourmin,time_ms,is_click\n0,9,20220422,0700,1650600000002,1\n",
            "log_standard_4_08_to_4_21_pure.csv": "user_id,video_id,date,hourmin,time_ms,is_click\n0,7,20220421,0700,1650495646893,1\n"
            "0,8,20220421,0700,1650495646890,1\n",
            "log_random_4_22_to_5_08_pure.csv": "user_id,video_id,date,hourmin,time_ms,is_click\n0,5,20220422,0700,1650600000001,1\n",
        },
        {"0": ["8", "7", "9"]},
        {"7": "7", "8": "8", "9": "9"},
    ),
    "tmall": (
        {
            "user_log_format1.csv": "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type\n3,32,833,2882,2661.0,1111,0\n"
            "3,18,1271,2882,2661.0,0829,2\n"
        },
        {"3": ["18", "32"]},
        {"18": "18", "32": "32"},
    ),
    "taobao": (
        {"UserBehavior.csv": "1,22,24,pv,1511544075\n1,23,24,buy,1511544070\n2,22,24,fav,1511544071\n"},
        {"1": ["23", "22"], "2": ["22"]},
        {"22": "22", "23": "23"},
    ),
    "amazon-ratings": (
        {
            "ratings_Tea.csv": "A39HTATAQ9V7YF,0205616461,5.0,1369699200\nA39HTATAQ9V7YF,B002OVV7F0,3.0,1355443200\n",
            "meta_Tea.json": "{'asin': '0205616461', 'title': \"Tea's\"}\n{'asin': 'B002OVV7F0', 'title': 'Wool'}\n",
        },
        {"A39HTATAQ9V7YF": ["B002OVV7F0", "0205616461"]},
        {"0205616461": "Tea's", "B002OVV7F0": "Wool"},
    ),
    "gowalla": (
        {
            "loc-gowalla_totalCheckins.txt": "0\t2010-10-19T23:55:27Z\t30.2359\t-97.7951\t22847\n"
            "0\t2010-10-18T22:17:43Z\t30.2691\t-97.7493\t420315\n"
        },
        {"0": ["420315", "22847"]},
        {"22847": "22847", "420315": "420315"},
    ),
    "foursquare": (
        {
            "dataset_TSMC2014_NYC.txt": "470\t49bb\t4bf5\tArts Store\t40.7\t-74.0\t-240\tTue Apr 03 18:00:19 +0000 2012\n"
            "470\t4a43\t4bf5\tBridge\t40.6\t-74.0\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
        },
        {"470": ["4a43", "49bb"]},
        {"49bb": "Arts Store", "4a43": "Bridge"},
    ),
    "lastfm-360k": (
        {
            "usersha1-artmbid-artname-plays.tsv": f"{'0a' * 20}\t3bd73256-3905-4f3a-97e2-8b341527f805\tBetty\t2137\n"
            f"{'0a' * 20}\t\tDie Ärzte\t1099\n"
        },
        {"0a" * 20: ["3bd73256-3905-4f3a-97e2-8b341527f805", "Die Ärzte"]},
        {"3bd73256-3905-4f3a-97e2-8b341527f805": "Betty", "Die Ärzte": "Die Ärzte"},
    ),
    "lastfm-1k": (
        {
            "userid-timestamp-artid-artname-traid-traname.tsv": "user_000001\t2009-05-04T23:08:57Z\t\tDeep Dish\t\tFamous\n"
            "user_000001\t2009-05-04T13:54:10Z\t\tAlfa\tf7c1f8f8-b935-45ed-8fc8-7def69d92a10\tSong 2\n"
        },
        {"user_000001": ["f7c1f8f8-b935-45ed-8fc8-7def69d92a10", "Famous"]},
        {"f7c1f8f8-b935-45ed-8fc8-7def69d92a10": "Song 2", "Famous": "Famous"},
    ),
    "yelp": (
        {
            "yelp_academic_dataset_review.json": '{"review_id":"K","user_id":"u","business_id":"b","stars":3.0,"text":"x",'
            '"date":"2018-07-07 22:09:11"}\n{"review_id":"L","user_id":"u","business_id":"c","stars":3.0,"text":"y",'
            '"date":"2017-07-07 22:09:11"}\n',
            "yelp_academic_dataset_business.json": '{"business_id":"b","name":"Tea Room","categories":"Tea Rooms, Food"}\n'
            '{"business_id":"c","name":"Wool Shop","categories":null}\n',
            "yelp_academic_dataset_user.json": '{"user_id":"u","name":"Ann"}\n',
        },
        {"u": ["c", "b"]},
        {"b": "Tea Room", "c": "Wool Shop"},
    ),
    "goodreads": (
        {
            "goodreads_interactions_tea.json": '{"user_id":"u","book_id":"7","review_id":"r","is_read":true,"rating":5,'
            '"date_added":"Mon Jul 02 09:12:00 -0700 2007","date_updated":"","read_at":""}\n{"user_id":"u","book_id":"8",'
            '"review_id":"s","is_read":false,"rating":0,"date_added":"Sun Jul 01 23:12:00 -0700 2007","date_updated":""}\n',
            "goodreads_books_tea.json": '{"isbn":"031","book_id":"7","title":"Tea","popular_shelves":[{"count":"3",'
            '"name":"to-read"}],"description":"On tea"}\n{"isbn":"","book_id":"8","title":"Wool"}\n',
        },
        {"u": ["8", "7"]},
        {"7": "Tea", "8": "Wool"},
    ),
    "steam": (
        {
            "steam_reviews.json": "{u'username': u'Ann B', u'hours': 0.1, u'product_id': u'7', u'date': u'2017-12-18', "
            "u'early_access': False}\n{u'username': u'Ann B', u'product_id': u'8', u'date': u'2017-12-17'}\n",
            "steam_games.json": "{u'app_name': u'Tea', u'title': u'Tea', u'id': u'7', u'genres': [u'Action', u'Indie']}\n"
            "{u'title': u'Wool\\xae', u'id': u'8'}\n",
        },
        {"Ann B": ["8", "7"]},
        {"7": "Tea", "8": "Wool®"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_published_folder(tmp_path: Path, name: str) -> None:
    """The folder is enough: the log is found by name, columns are known, titles come from beside it."""
    files, expected, named = SETS[name]
    data = tmp_path / "data"
    data.mkdir()
    for file, content in files.items():
        (data / file).write_text(content)
    log, *others = files
    if name == "woocommerce":
        done = run(tmp_path, f"data/{log}", items=[f"data/{others[0]}"])
    else:
        done = run(tmp_path, "data")
        assert done.formats == [name]
    assert histories(tmp_path) == expected
    assert titles(tmp_path) == named


NAMELESS: dict[str, tuple[dict[str, str], str, dict[str, list[str]], dict[str, str]]] = {
    # what stands in a file tells its kind where its name does not: files, kind, histories, titles
    "reviews and metadata": (
        {
            "Tea.jsonl": '{"user_id":"u","parent_asin":"B1","rating":5.0,"title":"Good","timestamp":1588687728923}\n',
            "meta_Tea.jsonl": '{"parent_asin":"B1","title":"Green tea"}\n',
        },
        "amazon-2023",
        {"u": ["B1"]},
        {"B1": "Green tea"},
    ),
    "ratings and metadata": (
        {
            "Tea.csv": "user_id,parent_asin,rating,timestamp\nu,B1,5.0,1588687728924\nu,B2,5.0,1588687728923\n",
            "meta_Tea.jsonl": '{"parent_asin":"B1","title":"Green tea"}\n',
        },
        "amazon-ratings-2023",
        {"u": ["B2", "B1"]},
        {"B1": "Green tea", "B2": "B2"},
    ),
    "books": (
        {"Ratings.csv": "User-ID;ISBN;Rating\n7;01;0\n", "Books.csv": "ISBN;Title\n01;Tea; now\n".replace("Tea; now", '"Tea; now"')},
        "book-crossing",
        {"7": ["01"]},
        {"01": "Tea; now"},
    ),
    "an order without a SKU": (
        {"o.csv": "Order Number,Order Date,Email (Billing),SKU,Item Name\n8,05/14/2023 10:33 am,a@x,,Gift card\n7,05/03/2023 11:33 pm,a@x,T1,Tea\n"},
        "woocommerce",
        {"a@x": ["T1", "Gift card"]},
        {"T1": "Tea", "Gift card": "Gift card"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMELESS)
def test_a_published_folder_whose_files_have_other_names(tmp_path: Path, name: str) -> None:
    files, kind, expected, named = NAMELESS[name]
    (tmp_path / "data").mkdir()
    for file, content in files.items():
        (tmp_path / "data" / file).write_text(content)
    assert run(tmp_path, "data").formats == [kind]
    assert histories(tmp_path) == expected
    assert titles(tmp_path) == named


def test_two_kinds_of_logs_in_a_folder_are_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,parent_asin,rating,timestamp\nu,B1,5.0,1588687728924\n")
    (tmp_path / "b.dat").write_text("userID\tartistID\tweight\n2\t51\t13883\n")
    with pytest.raises(ConfigError, match="holds none of the logs that are known by name"):
        run(tmp_path, ".")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ConfigError, match="bare: holds no file; give the log"):
        run(tmp_path, "bare")


def test_sets_that_are_published_in_iso_8859_1(tmp_path: Path) -> None:
    (tmp_path / "dataset_TSMC2014_NYC.txt").write_bytes(
        SETS["foursquare"][0]["dataset_TSMC2014_NYC.txt"].replace("Bridge", "Café").encode("iso-8859-1")
    )
    run(tmp_path, "dataset_TSMC2014_NYC.txt")
    assert titles(tmp_path)["4a43"] == "Café"
    bad = '"User-ID";"ISBN";"Book-Rating"\n"7";"é1";"0"\n"7";;"3"\n'
    (tmp_path / "BX-Book-Ratings.csv").write_bytes(bad.encode("iso-8859-1"))
    run(tmp_path, "BX-Book-Ratings.csv", on_error="skip")
    assert histories(tmp_path) == {"7": ["é1"]}


def test_a_published_table_without_times_says_so(tmp_path: Path) -> None:
    (tmp_path / "user_artists.dat").write_text(SETS["lastfm-2k"][0]["user_artists.dat"])
    run(tmp_path, "user_artists.dat", reporter=(told := Listening()))
    assert any("order of the lines is taken for it" in said and "(unused: weight)" in said for said in told.others)


def test_categories_and_text_of_exports(tmp_path: Path) -> None:
    for name in ("shopify", "woocommerce"):
        for file, content in SETS[name][0].items():
            (tmp_path / file).write_text(content)
    run(tmp_path, "orders_export_1.csv")
    items = {item.item: item for item in jsonl.read(tmp_path / "out" / "items.jsonl", Item)}
    assert items["T-1"] == Item(item="T-1", title="Tea", categories=["Food", "Tea"], text="Fine")
    run(tmp_path, "orders.csv", items=["wc-product-export.csv"])
    items = {item.item: item for item in jsonl.read(tmp_path / "out" / "items.jsonl", Item)}
    assert (items["T1"].title, items["T1"].text) == ("Green tea", "Fine")


def test_files_of_one_set_that_lack_the_other(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(SETS["instacart"][0]["orders.csv"])
    with pytest.raises(InputError, match=r"orders\.csv: needs order_products__prior\.csv beside it"):
        run(tmp_path, "orders.csv")
    (tmp_path / "order_products__prior.csv").write_text(SETS["instacart"][0]["order_products__prior.csv"])
    run(tmp_path, "order_products__prior.csv")
    assert histories(tmp_path) == {"1": ["5", "7", "5"], "2": ["9"]}


def test_bad_rows_of_exports_keep_their_line(tmp_path: Path) -> None:
    rows = "#1,a@x.org,paid,2024-01-01 10:00:00,1,Tea,3,T-1,7\n\n#2,,,2024-01-01 10:00:00,1,Wool,3,,\n"
    (tmp_path / "orders_export.csv").write_text(ORDERS + rows)
    with pytest.raises(InputError, match=r"orders_export\.csv:4: the order has no customer"):
        run(tmp_path, "orders_export.csv")
    (tmp_path / "orders_export.csv").write_text(ORDERS + rows.replace("#2,,,2024-01-01", "#2,b,,2024-91-01"))
    with pytest.raises(InputError, match=r"orders_export\.csv:4: field 'time'"):
        run(tmp_path, "orders_export.csv")
    (tmp_path / "behaviors.tsv").write_text(SETS["mind"][0]["behaviors.tsv"] * 3 + "5\tU2\tsoon\t\tN1-1\n")
    with pytest.raises(InputError, match=r"behaviors\.tsv:13: field 'time'"):
        run(tmp_path, "behaviors.tsv")


def test_lists_between_tabs_are_no_lines_of_users(tmp_path: Path) -> None:
    """A table whose cells hold lists has as many separators on each line."""
    rows = ["1\tU1\tmonday\ta b c\td-0 e-1", "2\tU2\ttuesday\ta\td-0", "3\tU3\tfriday\ta b\td-0 f-1 g-0"]
    (tmp_path / "log.tsv").write_text("\n".join([*rows, ""]))
    with pytest.raises(InputError, match="no column is recognised as the user"):
        run(tmp_path, "log.tsv")
    (tmp_path / "lines.tsv").write_text("u1\ta b c\nu2\ta\nu3\tb c\n")
    run(tmp_path, "lines.tsv")
    assert histories(tmp_path) == {"u1": ["a", "b", "c"], "u2": ["a"], "u3": ["b", "c"]}


def test_times_that_a_published_log_lacks_are_said_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "behaviors.tsv").write_text(SETS["mind"][0]["behaviors.tsv"])
    with pytest.raises(
        ConfigError, match=r"behaviors\.tsv: gives no times to the histories, which --split temporal needs"
    ):
        run(tmp_path, "behaviors.tsv", split="temporal")


def test_the_order_of_a_session_of_diginetica(tmp_path: Path) -> None:
    rows = "1;NA;a;526309;2016-05-09\n1;NA;b;1031018;2016-05-09\n1;NA;c;243569;2016-05-09\n2;7;d;100;2016-05-10\n"
    (tmp_path / "views.csv").write_text("session_id;user_id;item_id;timeframe;eventdate\n" + rows)
    run(tmp_path, "views.csv")
    assert histories(tmp_path) == {"1": ["c", "a", "b"], "2": ["d"]}
