"""Messages with garbage in every field, by hypothesis."""

import array
import re

from hypothesis import strategies as st

_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            '',
            ' ',
            ' a',
            '\0',
            '[_BEG_]',
            '\u202e',
            '\ufffd' * 3,
            '\U0001f916',
            ' ' * 300,
            'x' * 3000,
        ]
    ),
    st.text(alphabet=' .,!?', max_size=6),
)
_FLOATS = st.one_of(
    st.floats(width=32),
    st.sampled_from([0.0, -1.0, 2.0, float('nan'), float('inf'), float('-inf'), 3.4e38]),
)


def _integers(bits, *, signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    edges = [low, high, 0, 1, high - 1, min(high, 1000), min(high, 16000)]
    return st.one_of(st.sampled_from(edges), st.integers(low, high))


_PRIMITIVES = {
    'boolean': st.booleans(),
    'string': _TEXTS,
    'float': _FLOATS,
    'double': st.floats(),
    'octet': st.binary(min_size=1, max_size=1),
    **{f'int{b}': _integers(b, signed=True) for b in (8, 16, 32, 64)},
    **{f'uint{b}': _integers(b, signed=False) for b in (8, 16, 32, 64)},
}
_CODES = {'float': 'f', 'double': 'd', 'int8': 'b', 'uint8': 'B', 'int16': 'h', 'uint16': 'H'}
_CODES |= {'int32': 'i', 'uint32': 'I'}


def messages(kind, *, max_items=6):
    """Return a strategy of messages of a type; sizes of samples go up to some thousands."""
    fields = {
        name: _field(text, kind, max_items)
        for name, text in kind.get_fields_and_field_types().items()
    }
    return st.builds(lambda **values: kind(**values), **fields)


def _field(text, kind, max_items):
    if found := re.fullmatch(r'sequence<(.+?)(, \d+)?>', text):
        inner = found[1]
        if inner == 'int16':
            return st.one_of(
                st.lists(_PRIMITIVES['int16'], max_size=max_items).map(
                    lambda items: array.array('h', items)
                ),
                st.tuples(st.integers(0, 20000), _PRIMITIVES['int16']).map(
                    lambda pair: array.array('h', [pair[1]]) * pair[0]
                ),
            )
        items = st.lists(_field(inner, kind, max_items), max_size=max_items)
        return items.map(lambda v: array.array(_CODES[inner], v)) if inner in _CODES else items
    if text in _PRIMITIVES:
        return _PRIMITIVES[text]
    return messages(_type(text), max_items=max_items)


def _type(text):
    package, name = text.split('/')
    module = __import__(f'{package}.msg', fromlist=[name])
    return getattr(module, name)
