"""Formats that microscopes and browsers write and that are not read, so that a refusal can say which one it is."""

_STARTS = (
    (b"ZISRAWFILE", "a CZI file (Zeiss)"),
    (b"\xda\xce\xbe\x0a", "an ND2 file (Nikon)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE file, such as OIB (Olympus) or ZVI (Zeiss)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as IMS (Imaris)"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (b"GIF8", "a GIF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF"),
)
_LIF_START, _LIF_MARK = b"\x70\x00\x00\x00", b"\x2a"


def name_foreign(data: bytes) -> str | None:
    """Give the format in words, None where it is not known.

    Examples
    --------
    >>> name_foreign(b"ZISRAWFILE" + bytes(100))
    'a CZI file (Zeiss)'
    """
    for start, name in _STARTS:
        if data.startswith(start):
            return name
    if data.startswith(_LIF_START) and data[8:9] == _LIF_MARK:
        return "a LIF file (Leica)"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "a WebP image"
    return "a DICOM file" if data[128:132] == b"DICM" else None
