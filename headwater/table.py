"""A table of results that turns into whichever library's table is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """Rows of results with named columns. A value that is missing is null in every form."""

    arrow: pa.Table
    """The same as a PyArrow table."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self.arrow.column_names)

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __getitem__(self, column: str) -> NDArray[np.generic]:
        """A column as a NumPy array.

        Raises:
            KeyError: there is no such column.
        """
        values: NDArray[np.generic] = self.arrow.column(column).to_numpy()
        return values

    # Any: each column has its own type, which whoever asks for the column knows
    def rows(self) -> list[dict[str, Any]]:
        """The rows as Python's own objects."""
        return list(self.arrow.to_pylist())

    def to_numpy(self) -> dict[str, NDArray[np.generic]]:
        """Every column as a NumPy array, by name."""
        return {name: self[name] for name in self.columns}

    def to_pandas(self) -> pd.DataFrame:
        """A pandas DataFrame."""
        return self.arrow.to_pandas()

    def to_polars(self) -> Any:
        """A polars DataFrame.

        Raises:
            ModuleNotFoundError: polars is not installed; Headwater itself does not need it.
        """
        import polars

        return polars.from_arrow(self.arrow)
