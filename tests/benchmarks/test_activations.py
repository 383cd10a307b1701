from tests.benchmarks.activations import measure


def test_both_kinds_of_work_are_measured_round_by_round() -> None:
    rows = measure(1, steps=1, n_new=2)
    assert [row["work"] for row in rows] == 2 * ["train 1 updates"] + 2 * ["sample 2 tokens"]
    assert [row["candidate"] for row in rows] == 2 * ["watched before", "never watched either"]
    for row in rows:
        assert isinstance(row["value"], float)
        assert row["value"] > 0
