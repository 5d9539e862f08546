"""The search for the least lossy generalization that makes every class large enough.

Full-domain generalization (Samarati 2001; LeFevre et al. 2005): one level per attribute for all rows, a node
of the lattice of all such settings. A setting is good when the rows in classes smaller than k are at most the
suppression limit. Loss is the generalized loss metric of Iyengar (2002), the same as NCP for single values:
for a kept row, the mean over its attributes of (values of the domain under the cell - 1) / (domain - 1); for
a suppressed row, 1; averaged over all rows. 0 is the table as it is, 1 an empty one.

What keeps the search short, and the result still the optimum:
- monotone: coarser settings only merge classes, so below a failed setting all fail (predictive tagging, as in
  Flash, Kohlmayer et al. 2012); chains to the top are searched by halves to tag as much as possible;
- bounded: suppressing a row never loses less than generalizing it, so the loss without suppression is a lower
  bound, and higher still by the rows that even a coarser setting suppressed; settings are tried in its order,
  and no further than the best loss found;
- roll-up: classes of a setting are merged from those of a finer one that is known, never from rows.

Must not be here: hierarchies (`hierarchy`), counting classes of rows (`class_counts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from orchestration.errors import ConfigError, Reason
from orchestration.scope.hierarchy import Hierarchy

TOO_LARGE = Reason(
    "lattice.too_large",
    "The hierarchies span {nodes:,} settings; the search goes up to {limit:,}.",
    "Give fewer attributes a hierarchy, or fewer levels.",
)

MAX_NODES = 5_000_000
_KEPT_TABLES = 40
_LARGEST_KEY = 2**62

Node = tuple[int, ...]


@dataclass(frozen=True)
class ClassCounts:
    """The most specific classes: `codes[class, attribute]` are codes of leaves, `counts[class]` rows."""

    codes: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def rows(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True)
class Setting:
    """One node: a level per attribute, and what it gives; `classes` and `k` are of the rows that are kept."""

    levels: Node
    loss: float
    suppressed: int
    classes: int
    k: int


@dataclass(frozen=True)
class Proposal:
    """The best settings, the optimum first; none when even the coarsest is not enough."""

    attributes: tuple[str, ...]
    settings: tuple[Setting, ...]
    rows: int
    nodes: int
    evaluated: int


def propose(
    counts: ClassCounts,
    hierarchies: Sequence[Hierarchy],
    *,
    k: int,
    suppress: float = 0.0,
    best: int = 4,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Proposal:
    """The `best` settings of least loss, exactly; ties are broken by levels.

    Args:
        counts: classes of the table, their columns in the order of `hierarchies`.
        suppress: largest share of rows that may be suppressed, from 0 to 1.
        on_progress: called now and then with the share of the lattice that is decided.

    Raises: ConfigError (`lattice.too_large`).
    """
    nodes = prod(hierarchy.height + 1 for hierarchy in hierarchies)
    if nodes > MAX_NODES:
        raise ConfigError(TOO_LARGE, nodes=nodes, limit=MAX_NODES)
    search = _Search(counts, hierarchies, k, int(suppress * counts.rows + 1e-9))
    search.run(best, on_progress)
    return Proposal(
        attributes=tuple(hierarchy.attribute for hierarchy in hierarchies),
        settings=tuple(search.passed[:best]),
        rows=counts.rows,
        nodes=nodes,
        evaluated=len(search.known),
    )


def evaluate(counts: ClassCounts, hierarchies: Sequence[Hierarchy], levels: Node, k: int) -> Setting:
    """What one setting gives, from the most specific classes."""
    return _Search(counts, hierarchies, k, counts.rows).evaluate(levels)


class _Search:
    def __init__(self, counts: ClassCounts, hierarchies: Sequence[Hierarchy], k: int, limit: int) -> None:
        self._hierarchies, self._k, self._limit = hierarchies, k, limit
        self._rows = max(counts.rows, 1)
        self._tables: dict[Node, ClassCounts] = {tuple(0 for _ in hierarchies): counts}
        self._top: Node = tuple(hierarchy.height for hierarchy in hierarchies)
        self._bound = self._sums([self._mean_losses(counts, axis) for axis in range(len(hierarchies))])
        # What suppressing a row adds at least, and how many rows are known to be suppressed.
        self._extra = 1 - self._sums([[float(lost.max()) for lost in each.losses] for each in hierarchies])
        self._least = np.zeros(self._bound.shape, dtype=np.int64)
        self._failed = np.zeros(self._bound.shape, dtype=bool)
        self.known: dict[Node, Setting] = {}
        self.passed: list[Setting] = []

    def run(self, best: int, on_progress: Callable[[float], None]) -> None:
        order = np.argsort(self._bound, axis=None, kind="stable")
        for done, position in enumerate(order):
            node: Node = tuple(int(level) for level in np.unravel_index(position, self._bound.shape))
            # A bound and a loss are sums in different orders: they may differ by a hair.
            enough = self.passed[best - 1].loss + 1e-9 if len(self.passed) >= best else 1.0
            if self._bound[node] > enough:
                break
            likely = self._bound[node] + self._least[node] * self._extra[node] / self._rows <= enough
            if likely and not self._failed[node] and not self._passes(node):
                self._halve(self._chain(node))
            if done % 64 == 0:
                on_progress(done / order.size)
        on_progress(1.0)

    def _mean_losses(self, counts: ClassCounts, axis: int) -> list[float]:
        """The loss of one attribute at each of its levels, if nothing were suppressed."""
        codes = counts.codes[:, axis]
        return [
            float((lost[codes] * counts.counts).sum()) / self._rows for lost in self._hierarchies[axis].losses
        ]

    def _sums(self, parts: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """For every node the mean over its attributes of one number per level."""
        total = np.zeros([1] * len(parts))
        for axis, numbers in enumerate(parts):
            shape = [len(numbers) if each == axis else 1 for each in range(len(parts))]
            total = total + np.array(numbers).reshape(shape) / len(parts)
        return total

    def _passes(self, node: Node) -> bool:
        """Evaluate and tag: below a node that fails, everything fails."""
        if node in self.known:
            return self.known[node].suppressed <= self._limit
        setting = self.evaluate(node)
        self.known[node] = setting
        below = tuple(slice(0, level + 1) for level in node)
        np.maximum(self._least[below], setting.suppressed, out=self._least[below])
        if setting.suppressed > self._limit:
            self._failed[below] = True
            return False
        self.passed.append(setting)
        self.passed.sort(key=lambda each: (round(each.loss, 12), each.levels))
        return True

    def _chain(self, node: Node) -> list[Node]:
        """Settings from just above `node` to the top, each step the one that loses least by its bound."""
        chain: list[Node] = []
        while node != self._top:
            steps = [
                (*node[:axis], level + 1, *node[axis + 1 :])
                for axis, level in enumerate(node)
                if level < self._top[axis]
            ]
            node = min(steps, key=lambda step: self._bound[step])
            chain.append(node)
        return chain

    def _halve(self, chain: list[Node]) -> None:
        """Find where on the chain settings begin to pass."""
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high) // 2
            if not self._failed[chain[middle]] and self._passes(chain[middle]):
                high = middle
            else:
                low = middle + 1

    def evaluate(self, node: Node) -> Setting:
        below = [known for known in self._tables if all(a <= b for a, b in zip(known, node, strict=True))]
        finer = self._tables[min(below, key=lambda known: len(self._tables[known].counts))]
        merged = self._merge(finer, node)
        if len(merged.counts) < 0.7 * len(finer.counts):
            self._keep(node, merged)
        small = merged.counts < self._k
        suppressed = int(merged.counts[small].sum())
        lost = sum(
            hierarchy.losses[level][merged.codes[:, axis]]
            for axis, (hierarchy, level) in enumerate(zip(self._hierarchies, node, strict=True))
        ) / len(node)
        kept = merged.counts[~small]
        loss = (float((lost * merged.counts)[~small].sum()) + suppressed) / self._rows
        return Setting(node, loss, suppressed, len(kept), int(kept.min()) if len(kept) else 0)

    def _keep(self, node: Node, table: ClassCounts) -> None:
        if len(self._tables) > _KEPT_TABLES:  # the oldest goes, but never the first of all
            del self._tables[list(self._tables)[1]]
        self._tables[node] = table

    def _merge(self, finer: ClassCounts, node: Node) -> ClassCounts:
        """Classes that become one, as one; any of its leaves stands for it."""
        key = np.zeros(len(finer.counts), dtype=np.int64)
        span = 1
        for axis, (hierarchy, level) in enumerate(zip(self._hierarchies, node, strict=True)):
            width = len(hierarchy.labels[level])
            if span * width > _LARGEST_KEY:
                key, span = np.unique(key, return_inverse=True)[1], len(key)
            key = key * width + hierarchy.groups[level][finer.codes[:, axis]]
            span *= width
        _, first, where = np.unique(key, return_index=True, return_inverse=True)
        counts = np.bincount(where, weights=finer.counts, minlength=len(first))
        return ClassCounts(finer.codes[first], counts.astype(np.int64))
