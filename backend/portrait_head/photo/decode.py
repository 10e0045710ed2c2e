"""A photo file of any common kind, safely decoded to upright 8-bit sRGB."""

from __future__ import annotations

import errno
import io
import struct
import warnings as python_warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin, features

from portrait_head.errors import PortraitHeadError

# What Pillow's readers raise on damaged files: they were written for speed and let the error of the broken step out.
DECODER_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    BufferError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
FORMATS = ("PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "TGA", "JPEG2000", "AVIF")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
EXIF_ORIENTATION = 0x0112
EXIF_BLOCK = 0x8769
EXIF_WIDTH, EXIF_HEIGHT = 0xA002, 0xA003
EXIF_FOCAL_35 = 0xA405
FILM_DIAGONAL = 43.267  # millimetres of 36 x 24, which "35 mm equivalent" compares by (CIPA DCG-001)
UNCUT = (4 / 3, 3 / 2, 16 / 9)  # shapes of whole pictures


@dataclass(frozen=True)
class DecodeConfig:
    """Limits that keep one photo within a few hundred megabytes of memory."""

    max_bytes: int = 500_000_000
    max_pixels: int = 100_000_000  # decoded size, RGB: 300 MB
    max_jpeg_pixels: int = 500_000_000  # JPEG can be decoded at a half, a quarter or an eighth
    background: int = 160  # grey level that fills transparent parts: neither like dark nor like light hair


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        image: [H, W, 3] uint8 sRGB, upright.
        focal: the lens's focal length in pixels of `image`; None where the file does not tell or seems to be cut.
        warnings: sentences for the user.
    """

    image: np.ndarray
    focal: float | None = None
    warnings: tuple[str, ...] = ()


def load_photo(path: str | Path, config: DecodeConfig = DecodeConfig()) -> Photo:
    """Decode the photo file at `path` to upright sRGB.

    EXIF orientation and an embedded colour profile are applied; grey, palette, CMYK, 16-bit and transparent pictures
    become RGB; of an animation the first frame is taken, with a warning.

    Raises:
        PortraitHeadError: photo_missing, photo_is_folder, photo_unreadable, photo_empty, photo_format, photo_corrupt
            or photo_too_large.
    """
    path = Path(path)
    name = path.name or str(path)
    data = _read(path, name, config)
    with python_warnings.catch_warnings():
        # Pillow warns of large pictures and odd metadata; the limits below already decide.
        python_warnings.simplefilter("ignore")
        return _decode(data, name, config)


def _read(path: Path, name: str, config: DecodeConfig) -> bytes:
    try:
        if path.is_dir():
            raise PortraitHeadError("photo_is_folder", f'"{name}" is a folder.', "Name a photo file inside it.")
        if not path.exists():
            raise PortraitHeadError("photo_missing", f'There is no file "{path}".', "Check the path and its spelling.")
        if not path.is_file():
            raise PortraitHeadError("photo_unreadable", f'"{name}" is not an ordinary file.', "Name a photo file.")
        size = path.stat().st_size
        if size > config.max_bytes:
            raise PortraitHeadError(
                "photo_too_large",
                f'"{name}" has {size / 1e6:.0f} MB; at most {config.max_bytes / 1e6:.0f} MB are read.',
                "Save it as a JPEG and try again.",
            )
        data = path.read_bytes()
    except OSError as error:
        reason = "its name is too long" if error.errno == errno.ENAMETOOLONG else (error.strerror or "unknown reason")
        raise PortraitHeadError(
            "photo_unreadable", f'"{name}" cannot be read: {reason}.', "Check the file's permissions and its disk."
        ) from error
    except ValueError as error:
        raise PortraitHeadError(
            "photo_missing", f"{str(path)!r} is not a possible file name.", "Check the path and its spelling."
        ) from error
    if not data:
        raise PortraitHeadError("photo_empty", f'"{name}" is empty (0 bytes).', "Copy or export the photo again.")
    return data


def _decode(data: bytes, name: str, config: DecodeConfig) -> Photo:
    notes: list[str] = []
    with _open(data, name, config) as opened:
        try:
            if opened.format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF") and getattr(opened, "n_frames", 1) > 1:
                notes.append(f'"{name}" has {getattr(opened, "n_frames", 1)} frames; the first one was taken.')
                opened.seek(0)
            opened.load()
        except DECODER_ERRORS as error:
            raise _corrupt(name) from error
        orientation = _orientation(opened, name, notes)
        try:
            picture = _flatten(_to_srgb(opened, name, notes), name, notes, config)
            if orientation is not None:
                picture = picture.transpose(orientation)
            return Photo(np.array(picture, dtype=np.uint8), _focal_length(opened), tuple(notes))
        except DECODER_ERRORS as error:
            raise _corrupt(name) from error


def _open(data: bytes, name: str, config: DecodeConfig) -> Image.Image:
    """The opened picture, its pixels not yet decoded, small enough to be."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in HEIC_BRANDS:
        raise PortraitHeadError(
            "photo_format", f'"{name}" is a HEIC photo, which is not supported.', "Export it as JPEG or PNG."
        )
    formats = tuple(kind for kind in FORMATS if kind != "AVIF" or features.check("avif"))
    try:
        if data[:3] == b"\xff\xd8\xff":
            # Not through Image.open, whose pixel limit does not know that a JPEG can be decoded at a smaller size.
            picture: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(data), name)
        else:
            Image.init()
            picture = Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise PortraitHeadError(
            "photo_too_large",
            f'"{name}" has more than {config.max_pixels // 1_000_000} million pixels.',
            "Scale it down (6000 pixels on the long side are plenty) and try again.",
        ) from error
    except Image.UnidentifiedImageError as error:
        if _known_signature(data):
            raise _corrupt(name) from error
        raise PortraitHeadError(
            "photo_format", f'"{name}" is not an image that can be read.', "Use a JPEG, PNG, WebP, TIFF or BMP photo."
        ) from error
    except DECODER_ERRORS as error:
        raise _corrupt(name) from error
    _limit_size(picture, name, config)
    return picture


def _limit_size(picture: Image.Image, name: str, config: DecodeConfig) -> None:
    width, height = picture.size
    pixels = width * height
    limit = config.max_pixels
    if picture.format == "JPEG" and not picture.info.get("progressive"):
        # A progressive JPEG keeps all its coefficients in memory whatever the decoded size.
        limit = config.max_jpeg_pixels
    if pixels > limit:
        raise PortraitHeadError(
            "photo_too_large",
            f'"{name}" has {width} x {height} pixels; at most {limit // 1_000_000} million are read.',
            "Scale it down (6000 pixels on the long side are plenty) and try again.",
        )
    divisor = 1
    while pixels / divisor**2 > config.max_pixels:
        divisor *= 2
    if divisor > 1:
        picture.draft("RGB" if picture.mode != "L" else "L", (width // divisor, height // divisor))
        if picture.size[0] * picture.size[1] > config.max_pixels:
            raise PortraitHeadError(
                "photo_too_large",
                f'"{name}" has {width} x {height} pixels and cannot be read at a smaller size.',
                "Scale it down (6000 pixels on the long side are plenty) and try again.",
            )


def _known_signature(data: bytes) -> bool:
    starts = (b"\x89PNG", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP")
    return data.startswith(starts) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _corrupt(name: str) -> PortraitHeadError:
    return PortraitHeadError(
        "photo_corrupt", f'"{name}" is damaged or incomplete.', "Copy or export the photo again, for example as PNG."
    )


def _orientation(picture: Image.Image, name: str, notes: list[str]) -> Image.Transpose | None:
    """The turn that the EXIF block asks for; a damaged block becomes a note."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        value = picture.getexif().get(EXIF_ORIENTATION)
    except DECODER_ERRORS:
        notes.append(f'The EXIF block of "{name}" is damaged; its orientation was not used.')
        return None
    return turns.get(value) if isinstance(value, int) else None


def _focal_length(picture: Image.Image) -> float | None:
    """Pixels, of a picture that is as the camera took it but for its scale."""
    try:
        block = picture.getexif().get_ifd(EXIF_BLOCK)
        focal, width, height = (float(block.get(tag) or 0) for tag in (EXIF_FOCAL_35, EXIF_WIDTH, EXIF_HEIGHT))
    except DECODER_ERRORS:
        return None
    longer, shorter = max(picture.size), min(picture.size)
    if min(focal, width, height) <= 0 or abs(max(width, height) / min(width, height) * shorter / longer - 1) > 0.01:
        return None
    if not any(abs(longer / shorter / shape - 1) < 0.01 for shape in UNCUT):
        return None
    return focal / FILM_DIAGONAL * float(np.hypot(longer, shorter))


def _to_srgb(picture: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """The picture in mode RGB or RGBA, its colour profile applied."""
    alpha = None
    if picture.mode in ("P", "PA"):
        has_alpha = picture.mode == "PA" or "transparency" in picture.info
        picture = _keeping_profile(picture, picture.convert("RGBA" if has_alpha else "RGB"))
    elif picture.mode in ("RGB", "L", "1") and "transparency" in picture.info:
        picture = _keeping_profile(picture, picture.convert("RGBA"))
    if picture.mode in ("RGBA", "LA", "RGBa", "La"):
        straight = picture.convert("RGBA") if picture.mode != "LA" else picture
        alpha = straight.getchannel("A")
        colours = straight.convert("L" if picture.mode in ("LA", "La") else "RGB")
        picture = _keeping_profile(picture, colours)
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_to_8_bit(np.asarray(picture)), "L")
    rgb = _apply_profile(picture, name, notes)
    if alpha is not None:
        rgb.putalpha(alpha)
    return rgb


def _keeping_profile(source: Image.Image, converted: Image.Image) -> Image.Image:
    if "icc_profile" in source.info:
        converted.info["icc_profile"] = source.info["icc_profile"]
    return converted


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Integers are 16-bit unless they reach further; floats are 0 to 1 unless they reach further."""
    whole = np.issubdtype(values.dtype, np.integer)
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    white = max(top, 65535.0 if whole or top > 1.0 else 1.0)
    return np.clip(values / white * 255.0 + 0.5, 0, 255).astype(np.uint8)


def _apply_profile(picture: Image.Image, name: str, notes: list[str]) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "L", "CMYK", "LAB"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" in ImageCms.getProfileDescription(source).lower() and picture.mode == "RGB":
                return picture.copy()
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, *DECODER_ERRORS):
            notes.append(f'The colour profile of "{name}" cannot be used; its colours may be a little off.')
    return picture.convert("RGB")


def _flatten(picture: Image.Image, name: str, notes: list[str], config: DecodeConfig) -> Image.Image:
    """Transparent parts over plain grey."""
    if picture.mode != "RGBA":
        return picture
    if picture.getchannel("A").getextrema() != (255, 255):
        notes.append(f'The transparent parts of "{name}" were filled with grey.')
    grey = Image.new("RGBA", picture.size, (config.background,) * 3 + (255,))
    return Image.alpha_composite(grey, picture).convert("RGB")
