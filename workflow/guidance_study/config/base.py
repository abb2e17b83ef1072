"""What every configuration model shares."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from guidance_study.sources.rawfiles import UNPINNED, is_sha256
from guidance_study.support.params import Params

LEAST, MOST = 1e-12, 1e12  # moduli of numbers that are not 0: jobs flush what is far smaller, squares must be finite
COUNT = 10**9  # most of what is counted
LETTERS = 2000  # of a text at most
# Names become rule, file and directory names.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Title = Annotated[str, Field(min_length=1, max_length=300)]
Colour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
PositiveInt = Annotated[int, Field(ge=1, le=COUNT)]
Depth = Annotated[int, Field(ge=1, le=1000)]  # layers, blocks, heads
Steps = Annotated[int, Field(ge=1, le=10**5)]  # of a process or a sampler
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, le=COUNT)]
# 1 is unguided everywhere; -0.0 is 0.0.
Scale = Annotated[float, Field(ge=0, le=1e6), AfterValidator(lambda scale: scale + 0.0)]
Scales = Annotated[list[Scale], Field(min_length=1)]


def _digest(text: str) -> str:
    if text != UNPINNED and not is_sha256(text):
        raise ValueError(f"'{text}' is no SHA-256: it is written as 64 digits from 0-9 and a-f")
    return text


Digest = Annotated[str, AfterValidator(_digest)]


def unusable(value: Any) -> str | None:
    """Why a plain value can be no part of a configuration; None if it can, or is no plain value."""
    if isinstance(value, str):
        if not value.isprintable():
            return "a text is one line without control characters"
        return f"a text has at most {LETTERS} characters" if len(value) > LETTERS else None
    if isinstance(value, int) and not isinstance(value, bool):
        return f"a whole number is at most {MOST:.0e}" if abs(value) > MOST else None
    if not isinstance(value, float) or value == 0:
        return None
    if not math.isfinite(value):
        return "a number is finite"
    return None if LEAST <= abs(value) <= MOST else f"a number is 0, or between {LEAST:.0e} and {MOST:.0e} in size"


class Spec(BaseModel):
    """A part of the configuration: unknown keys, lax types and values that no job can use are errors.

    Of every number and text at any key: finite, no larger or smaller than LEAST and MOST allow, one line.
    """

    renamed: ClassVar[Mapping[str, str]] = {}  # keys of earlier versions, which said two things, and their new names

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        """Name what is allowed when a key is unknown; pydantic's own message does not."""
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    if key in cls.renamed:
                        new = cls.renamed[key]
                        raise PydanticCustomError("renamed_key", "renamed", {"key": str(key), "new": new})
                    allowed = ", ".join(cls.model_fields)
                    raise PydanticCustomError("unknown_key", "unknown", {"key": str(key), "allowed": allowed})
            for key, value in data.items():
                for one in value if isinstance(value, list | tuple) else [value]:
                    if problem := unusable(one):
                        told = {"key": str(key), "problem": problem}
                        raise PydanticCustomError("unusable_value", "unusable", told)
        return data

    def plain(self) -> Params:
        """The validated values as plain JSON types, defaults included: what goes into a recipe."""
        return self.model_dump(mode="json")
