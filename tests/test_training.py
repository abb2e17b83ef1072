"""The training loop: the same weights after a kill, an average that is one, and losses that must be finite."""

import pytest
import torch
from guidance_study.randomness import generator, torch_seed
from guidance_study.training import DivergedTraining, ema_decay, fit, learning_rate

TRAINING = {"steps": 40, "batch": 8, "optimizer": "adamw", "lr": 1e-2, "weight_decay": 0.01, "schedule": "cosine",
            "warmup": 5, "clip": 1.0, "ema": 0.9}  # fmt: skip


class Killed(Exception):
    pass


def problem(killed_at: int | None = None, dropout: float = 0.0):
    """A small regression with keyed draws; `killed_at` stops it like a signal would."""
    with torch_seed(0, "weights"):
        network = torch.nn.Sequential(
            torch.nn.Linear(3, 16), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(16, 1)
        )

    def loss(step: int) -> torch.Tensor:
        if step == killed_at:
            raise Killed
        x = torch.from_numpy(generator(0, "data", step).standard_normal((8, 3), dtype="float32"))
        return (network(x) - x.sum(1, keepdim=True)).pow(2).mean()

    return network, loss


def train(folder, training=TRAINING, **options):
    network, loss = problem(**options)
    return fit(network, loss, training, seed=0, purpose="test", checkpoints=folder)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(tmp_path, monkeypatch, dropout):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    whole, losses = train(tmp_path / "a", dropout=dropout)
    for step in (3, 17, 18, 39):
        with pytest.raises(Killed):
            train(tmp_path / "b", killed_at=step, dropout=dropout)
        assert len(list((tmp_path / "b").iterdir())) <= 2
    resumed, again = train(tmp_path / "b", dropout=dropout)
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_truncated_checkpoint_costs_one_interval(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    whole, _ = train(tmp_path / "a")
    with pytest.raises(Killed):
        train(tmp_path / "b", killed_at=20)
    newest = sorted((tmp_path / "b").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    resumed, _ = train(tmp_path / "b")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_it_learns_and_the_average_is_what_comes_back(tmp_path):
    network, loss = problem()
    state, losses = fit(network, loss, TRAINING | {"steps": 300}, seed=0, purpose="test", checkpoints=tmp_path)
    assert losses[-20:].mean() < 0.2 * losses[:20].mean()
    assert not torch.equal(state["0.weight"], network[0].weight)
    plain, _ = train(tmp_path / "none", TRAINING | {"ema": None})
    averaged, _ = train(tmp_path / "ema")
    assert not torch.equal(plain["0.weight"], averaged["0.weight"])


def test_the_average_follows_its_definition(tmp_path):
    """After n steps: average_n = d_n average_{n-1} + (1 - d_n) weights_n."""
    after = [
        train(tmp_path / str(n), TRAINING | {"steps": n, "schedule": "constant", "warmup": 0, "ema": None})[0]
        for n in (1, 2, 3)
    ]
    expected = problem()[0].state_dict()["0.weight"]
    for step, state in enumerate(after):
        decay = ema_decay(step, 0.9)
        expected = decay * expected + (1 - decay) * state["0.weight"]
    state, _ = train(tmp_path / "ema", TRAINING | {"steps": 3, "schedule": "constant", "warmup": 0})
    assert torch.allclose(state["0.weight"], expected, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    network, loss = problem()
    bad = lambda step: loss(step) * (float("nan") if step == 12 else 1.0)  # noqa: E731
    with pytest.raises(DivergedTraining, match=r"step 12 is not finite.*step-00000012\.pt"):
        fit(network, bad, TRAINING, seed=0, purpose="test", checkpoints=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000011.pt", "step-00000012.pt"]


def test_a_gradient_that_is_not_finite_stops_even_at_the_last_step(tmp_path):
    network, loss = problem()

    def bad(step: int) -> torch.Tensor:
        value = loss(step)  # finite, but the gradient of the root at 0 is not
        return value + (network[0].weight * 0).sum().abs().sqrt() if step == 39 else value

    with pytest.raises(DivergedTraining, match="weights after step 39 are not finite"):
        fit(network, bad, TRAINING, seed=0, purpose="test", checkpoints=tmp_path)


def test_learning_rates():
    assert learning_rate(0, TRAINING) == pytest.approx(2e-3)
    assert learning_rate(4, TRAINING) == learning_rate(5, TRAINING) == pytest.approx(1e-2)
    assert learning_rate(39, TRAINING) < 1e-4
    assert learning_rate(39, TRAINING | {"schedule": "constant"}) == 1e-2


def test_ema_decay_ramps_up():
    assert ema_decay(0, 0.999) == pytest.approx(0.1)
    assert ema_decay(10**6, 0.999) == 0.999
