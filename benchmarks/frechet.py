"""How much faster the Frechet distance is than clean-fid's on the same two Gaussians, and how far apart they are.

    python benchmarks/frechet.py [--features 2048] [--samples 10000] [--threads 1]

Prints one JSON object; `ratio` is clean-fid's seconds over ours, for the distance alone, the two in alternation.
Features are correlated, non-negative and skewed, as Inception's are.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from guidance_study.execution import jobs


def drawn(seed: int, shift: float, samples: int, features: int):
    """Features (samples, features) float32."""
    import numpy as np
    from guidance_study.support.randomness import generator

    source = generator(seed, "benchmark")
    shared = source.standard_normal((samples, 256), dtype=np.float32)
    mixed = shared @ source.standard_normal((256, features), dtype=np.float32) / 16
    own = source.standard_normal((samples, features), dtype=np.float32)
    return np.maximum(mixed + 0.3 * own + shift, 0)


def timed(function, *arguments):
    """(seconds, result) of one call."""
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    jobs.prepare_process(arguments.threads)

    from cleanfid import fid  # after the thread counts are fixed
    from guidance_study.metrics.frechet import Gaussian, frechet_distance

    warnings.simplefilter("ignore")  # SciPy about an argument that clean-fid passes
    sets = [drawn(seed, shift, arguments.samples, arguments.features) for seed, shift in ((0, 0.0), (1, 0.1))]
    fitting, (a, b) = timed(lambda: [Gaussian.of(features) for features in sets])
    ours, theirs = [], []
    for _ in range(arguments.repeats):
        theirs.append(timed(fid.frechet_distance, a.mean, a.covariance, b.mean, b.covariance))
        ours.append(timed(frechet_distance, a, b))
    seconds = {"ours": min(ours)[0], "clean_fid": min(theirs)[0]}
    found, expected = ours[0][1], float(theirs[0][1])
    result = {
        "features": arguments.features,
        "samples": arguments.samples,
        "threads": arguments.threads,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "ratio": round(seconds["clean_fid"] / seconds["ours"], 2),
        "relative_difference": abs(found - expected) / expected,
        "seconds_of_both_means_and_covariances": round(fitting, 3),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
