"""Types of configuration values that depend on the files that are there: any kind of a seam.

To a type checker, which cannot follow that, such a value is Any: what it has is said by the abstract class of its seam.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from guidance_study.config.seams import choice


@dataclass(frozen=True)
class Late:
    """In an Annotated type: what `make()` returns is the type that is validated, found where a Spec first uses it."""

    make: Callable[[], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.make())


AnyDataset = Annotated[Any, Late(partial(choice, "datasets"))]
AnyGuidance = Annotated[Any, Late(partial(choice, "guidance"))]
AnyNetwork = Annotated[Any, Late(partial(choice, "networks", "Network"))]
AnyClassifierNetwork = Annotated[Any, Late(partial(choice, "networks", "ClassifierNetwork"))]
AnyProcess = Annotated[Any, Late(partial(choice, "processes"))]
AnySampler = Annotated[Any, Late(partial(choice, "processes.samplers"))]
AnyEmbedding = Annotated[Any, Late(partial(choice, "embeddings"))]
AnyTable = Annotated[Any, Late(partial(choice, "tables"))]
AnyFigure = Annotated[Any, Late(partial(choice, "figures"))]
AnyPage = Annotated[Any, Late(partial(choice, "pages"))]
