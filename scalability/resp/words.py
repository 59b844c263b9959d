"""The words of an inline command. PURE."""

_ESCAPES = {0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09, 0x62: 0x08, 0x61: 0x07}  # \n \r \t \b \a
_BLANKS = b" \t\n\v\f\r\0"
_HEX = b"0123456789abcdefABCDEF"


def split_words(line: bytes) -> list[bytes]:
    """``line`` in words, as Redis splits it (sds.c: sdssplitargs).

    Blanks separate. ``"..."`` knows ``\\n \\r \\t \\b \\a \\xHH`` and ``\\`` before any other byte; ``'...'`` only ``\\'``.
    Raises ValueError where a quote is not closed, or something follows a closing quote at once.
    """
    words: list[bytes] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at] in _BLANKS:
            at += 1
        if at == end:
            return words
        word = bytearray()
        while at < end and line[at] not in _BLANKS:
            if line[at] in b"\"'":
                at = _quoted(line, at, word)
                break
            word.append(line[at])
            at += 1
        words.append(bytes(word))


def _quoted(line: bytes, at: int, word: bytearray) -> int:
    """Append to ``word`` what stands within the quotes that open at ``at``; where it goes on behind them."""
    quote, end = line[at], len(line)
    at += 1
    while at < end:
        byte = line[at]
        if byte == quote:
            if at + 1 < end and line[at + 1] not in _BLANKS:
                raise ValueError("something follows a quote")
            return at + 1
        if byte == 0x5C and at + 1 < end and (quote == 0x22 or line[at + 1] == quote):
            byte = line[at + 1]
            if quote == 0x22:
                if byte == 0x78 and at + 3 < end and line[at + 2] in _HEX and line[at + 3] in _HEX:
                    word.append(int(line[at + 2 : at + 4], 16))
                    at += 4
                    continue
                byte = _ESCAPES.get(byte, byte)
            at += 1
        word.append(byte)
        at += 1
    raise ValueError("a quote is not closed")
