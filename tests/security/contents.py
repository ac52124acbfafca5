"""Contents of files for the readers of `targets.py`: good ones that were disturbed, and noise."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.security.targets import TARGETS

WORDS = (
    b"", b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"-1",
    b"0", b"nan", b"inf", b"1e308", b"1e-320", b"1e400", b"99999999999999999999", b"null", b"true",
    b'"\\ud800"', b'"\\u0000"', b"[", b"]", b"{", b"}", b"[]", b"{}", b"\n", b" ", b"..", b"../x",
    b"!!python/object:os.system", b"&a", b"*a", b"<<: ", b"---\n", b"%", b"\xef\xbb\xbf", b"#",
)  # fmt: skip
"""What often finds the cases that a reader forgot."""


@st.composite
def disturbed(draw: st.DrawFn, name: str) -> bytes:
    """A content that a target accepts, changed in a few places."""
    content = draw(st.sampled_from(TARGETS[name].seeds()))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        gone = draw(st.sampled_from([0, 0, 1, 1, 2, 4, 8, 40]))
        put = draw(st.one_of(st.sampled_from(WORDS), st.binary(min_size=1, max_size=4)))
        content = content[:at] + put + content[at + gone :]
        if draw(st.booleans()) and draw(st.booleans()):
            content = content[: draw(st.integers(0, len(content)))]
    return content


def contents(name: str) -> st.SearchStrategy[bytes]:
    """Contents for a target."""
    return st.one_of(disturbed(name), disturbed(name), disturbed(name), st.binary(max_size=200))
