import pytest

from transformer.data.randomness import random_at


def test_a_place_gives_its_numbers_whatever_was_asked_before() -> None:
    alone = random_at("a", 3, 5, 7).random(11).tolist()
    random_at("a", 3, 5, 6).random(1000)
    assert random_at("a", 3, 5, 7).random(11).tolist() == alone


def test_purposes_seeds_and_places_that_differ_share_no_numbers() -> None:
    keys = [("a", 0), ("a", 1), ("a", -1), ("b", 0)]
    places = [(0, 1), (1, 0), (1, 1), (0, 0, 1), (2,)]
    drawn = [random_at(*key, *place).random(100) for key in keys for place in places]
    assert len({number for numbers in drawn for number in numbers.tolist()}) == 4 * 5 * 100


@pytest.mark.parametrize("place", [(-1,), (1, 2, 3, 4)])
def test_what_is_no_place_is_refused(place: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="up to three integers of at least 0"):
        random_at("a", 0, *place)
