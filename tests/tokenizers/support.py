"""What the tests of tokenizers share: texts that break tokenizers."""

from hypothesis import strategies as st

# Characters at the seams: every kind of white space, apostrophes, joiners, accents alone,
# digits of several scripts, surrogates, and what is longer when it is lower-cased.
SEAMS = (
    "aAsStTrReElLvVmMdD' \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u3000\u200b\u200d\ufeff\u0301"
    "0\u0661²Ⅷ½éßİŉǅΩдש中あ한ก🙂👩🇫🏽!.,-_<|>/`~\x00\x7f\ufffd\U0010ffff"
)
TEXT = st.text(st.sampled_from(SEAMS) | st.characters(exclude_categories=["Cs"]))
ANY_TEXT = st.text(st.sampled_from(SEAMS + "\ud800\udc80") | st.characters())
