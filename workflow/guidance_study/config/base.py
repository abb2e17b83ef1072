"""What every configuration model shares."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from guidance_study.sources.rawfiles import UNPINNED, is_sha256
from guidance_study.support.params import Params

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]  # names become rule, file and directory names
Colour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Scale = Annotated[
    float, Field(ge=0), AfterValidator(lambda scale: scale + 0.0)
]  # 1 is unguided everywhere; -0.0 is 0.0
Scales = Annotated[list[Scale], Field(min_length=1)]


def _digest(text: str) -> str:
    if text != UNPINNED and not is_sha256(text):
        raise ValueError(f"'{text}' is no SHA-256: it is written as 64 digits from 0-9 and a-f")
    return text


Digest = Annotated[str, AfterValidator(_digest)]


class Spec(BaseModel):
    """A part of the configuration: unknown keys, lax types and non-finite numbers are errors."""

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
        return data

    def plain(self) -> Params:
        """The validated values as plain JSON types, defaults included: what goes into a recipe."""
        return self.model_dump(mode="json")
