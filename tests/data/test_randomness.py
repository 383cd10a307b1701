import pytest

from transformer.data.randomness import random_at


def test_a_place_gives_its_numbers_whatever_was_asked_before() -> None:
    alone = random_at(3, 5, 7).random(11).tolist()
    random_at(3, 5, 6).random(1000)
    assert random_at(3, 5, 7).random(11).tolist() == alone


def test_seeds_and_places_that_differ_share_no_numbers() -> None:
    places = [(0, 1), (1, 0), (1, 1), (0, 0, 1), (2,)]
    drawn = [random_at(seed, *place).random(100) for seed in (0, 1, -1) for place in places]
    assert len({number for numbers in drawn for number in numbers.tolist()}) == 15 * 100


@pytest.mark.parametrize("place", [(-1,), (1, 2, 3, 4)])
def test_what_is_no_place_is_refused(place: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="up to three integers of at least 0"):
        random_at(0, *place)
