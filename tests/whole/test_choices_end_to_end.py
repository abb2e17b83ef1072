"""The whole chain with choices that the embedded study does not make."""

import pytest
from conftest import command_line, digests

pytestmark = pytest.mark.slow


def test_unet_ancestral_sampling_one_flow_per_scale_and_two_seeds(project, tiny):
    """What the default study leaves out, in one run: config/digits_unet.yaml and the other choices of a word."""
    import pandas as pd
    from conftest import TOP, merge, read

    own = {"space": "pixels", "k": 3, "postprocessor": "digits", "train_on": "own_scale"}
    changes = {
        "seeds": [0, 1],
        "networks": {"unet": {"model_channels": 8}},
        "experiments": {
            "digits_cfg": {"sampler": {"kind": "ancestral"}, "arms": [own]},
            "digits_cg": {"arms": [own]},
        },
        "tables": {"table_digits": {"arms": None}, "table_digits_quality": {"arms": None}},
        "figures": {name: {"arm": "pixels_k3_own"} for name in ("fig_digits_samples", "fig_digits_pca")},
    }
    config = merge(merge(tiny, read(TOP / "config" / "digits_unet.yaml")), changes)
    folder = project(config, "unet")
    done = command_line(folder, "run", "table_digits")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(folder / "results" / "tables" / "table_digits.csv")
    assert set(table["spread_over"]) == {"seeds"}
    assert set(table["arm"].dropna()) == {"pixels_k3_own"}
    assert (table["mean"] > 0).all()
    kinds = {address.split("/")[1].split("-")[0] for address in digests(folder) if address.startswith("denoiser")}
    assert kinds == {"unet"}
