"""What all sections of the configuration have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MiB = 1024 * 1024
GiB = 1024 * MiB


class Settings(BaseModel):
    """Base of all: frozen, unknown keys forbidden, attribute docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may be a token
    )
