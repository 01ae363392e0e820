"""Opening a text encoder by name.

torch and sentence_transformers are imported only when a text has to be encoded that numpy is no match for.
"""

from __future__ import annotations

from eimf_core.text.encoder import TextEncoder

PACKAGED = "packaged"
FEW = 5000  # texts that the packaged encoder is through with in numpy before torch has even started


def open_encoder(name_or_path: str | None = None, texts: int | None = None) -> TextEncoder:
    """Open a text encoder.

    Only a hub name may lead to a download, and only when it is not at hand already.

    Args:
        name_or_path: the packaged all-MiniLM-L6-v2 (None or "packaged"), a sentence-transformers folder, or a hub
            name.
        texts: about how many texts it will get. With FEW or less the packaged one does without torch; its vectors
            agree to six digits with those it has with torch, and count as the same.

    Raises:
        ConfigError: for a path that does not exist.
        ModelError: for an encoder that cannot be used.
    """
    from eimf_core.text import transformers_encoder

    if name_or_path is None or name_or_path == PACKAGED:
        if texts is not None and texts <= FEW:
            from eimf_core.text import numpy_encoder

            return numpy_encoder.packaged()
        return transformers_encoder.packaged()
    return transformers_encoder.named(name_or_path)
