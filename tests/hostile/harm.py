"""Ways to harm a valid file, for Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

#: What readers stumble over: ends of integer ranges, floats, texts of formats, and what terminals obey.
TOKENS = (
    *(value.to_bytes(size, order) for size in (1, 2, 4, 8) for order in ("little", "big")
      for value in (0, 1, (1 << 8 * size) - 1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1)),
    b"-1", b"9" * 30, b"9" * 5000, b"1e999", b"-1e999", b"1e-999", b"NaN", b"nan", b".inf", b"Infinity",
    b"null", b"true", b"{}", b"[]", b'""', b"{", b"[" * 3000, b"}", b"]", b"(" * 3000, b"\n", b"\r", b"\t",
    b",", b":", b"#", b"'", b'"', b"&a ", b"*a", b"!!python/object/apply:os.system [id]", b"<<: ", b"- ",
    b"? ", b"|\n", b"%", b"..", b"/", b"\\", b"\x00", b"\x1b[2J", b"<script>", "\u202e\u2028é".encode(),
    b"\xff\xfe", b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06", b"PAR1", b"\x1f\x8b", b"O", b"|O", b"object",
)  # fmt: skip

_PLACE = st.floats(0, 1, exclude_max=True)
_LENGTH = st.integers(1, 64)
_EDIT = st.one_of(
    st.tuples(st.just("set"), _PLACE, st.integers(0, 255)),
    st.tuples(st.just("flip"), _PLACE, st.integers(0, 7)),
    st.tuples(st.just("put over"), _PLACE, st.sampled_from(TOKENS)),
    st.tuples(st.just("put between"), _PLACE, st.sampled_from(TOKENS)),
    st.tuples(st.just("bytes"), _PLACE, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("cut out"), _PLACE, _LENGTH),
    st.tuples(st.just("repeat"), _PLACE, _LENGTH),
    st.tuples(st.just("end"), _PLACE, st.none()),
    st.tuples(st.just("swap lines"), _PLACE, _PLACE),
)


def _edited(content: bytes, edit: tuple) -> bytes:
    kind, place, what = edit
    at = int(place * len(content))
    before, after = content[:at], content[at:]
    if kind == "set":
        return before + bytes([what]) + after[1:]
    if kind == "flip":
        return before + bytes(b ^ 1 << what for b in after[:1]) + after[1:]
    if kind in ("put over", "bytes"):
        return before + what + after[len(what) :]
    if kind == "put between":
        return before + what + after
    if kind == "cut out":
        return before + after[what:]
    if kind == "repeat":
        return before + after[:what] + after
    if kind == "end":
        return before
    lines = content.splitlines(keepends=True) or [b""]
    one, other = (int(share * len(lines)) for share in (place, what))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


@st.composite
def harmed(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draw a valid file with one to eight edits."""
    content = draw(st.sampled_from(seeds))
    for edit in draw(st.lists(_EDIT, min_size=1, max_size=8)):
        content = _edited(content, edit)
    return content


def hostile(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw any bytes, or a valid file that is harmed."""
    return st.one_of(harmed(seeds), harmed(seeds), harmed(seeds), st.binary(max_size=200))
