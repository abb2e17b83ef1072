"""How measured rows become tables: summaries, the form of a table, the notes below it."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.execution.job import Job


def collect(job: "Job") -> tuple["pd.DataFrame", list[dict]]:
    """All measured rows of a table's `sources`, each with what its source is of; and the contents of the files read."""
    import pandas as pd

    frames, contents = [], []
    for source in job.params["sources"]:
        content = json.loads((job.inputs[source["role"]].path / "measures.json").read_text())
        shared = {key: value for key, value in source.items() if key != "role"}
        frames.append(pd.DataFrame(content["rows"]).assign(**shared))
        contents.append(content)
    return pd.concat(frames, ignore_index=True), contents
