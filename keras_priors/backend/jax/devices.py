"""JAX: rows and chains over the devices of Keras' distribution.

Rows are cut as Keras cuts a batch, in one program of all devices. Of chains each device has a
program of its own, by `shard_map`: in a sharded `jit` a loop of which the number of turns depends
on the chains, as the trees of NUTS, would be one loop over all of them, and wait at each turn.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from keras_priors.backend.jax.compilation import compile_function
from keras_priors.backend.jax.noise import normals_from, standard_normal

try:
    from jax import shard_map

    _UNCHECKED = {"check_vma": False}
except ImportError:  # before 0.6
    from jax.experimental.shard_map import shard_map

    _UNCHECKED = {"check_rep": False}

_AXES = {"c": "chains", "r": "rows", ".": None}


class _Layout(NamedTuple):
    """Which devices have which chains, and which rows of these."""

    mesh: Mesh
    num_chains: int

    @property
    def each(self) -> int:
        """Chains of a device; of the last, some may be copies of the last chain."""
        return math.ceil(self.num_chains / int(self.mesh.shape["chains"]))

    @property
    def numbers(self) -> Any:
        """The chains of all devices, one after the other."""
        return np.minimum(np.arange(self.each * self.mesh.shape["chains"]), self.num_chains - 1)

    def here(self, leaf: Any) -> Any:
        """Of an array (num_chains, ...), what belongs to the chains of this device."""
        first = jax.lax.axis_index("chains") * self.each
        return leaf[jnp.minimum(first + jnp.arange(self.each), self.num_chains - 1)]


_RUNNING: ContextVar[_Layout | None] = ContextVar("layout", default=None)


def batch_devices() -> int:
    distribution = _distribution_here()
    if distribution is None:
        return 1
    return int(distribution.device_mesh.backend_mesh.shape[distribution.batch_dim_name])


def place_batch(rows: Any) -> Any:
    if batch_devices() == 1:
        return keras.tree.map_structure(keras.ops.convert_to_tensor, rows)
    distribution = _distribution_here()

    def put(leaf: Any) -> Any:
        # As `convert_to_tensor` has it, but from here to each device only what it keeps.
        array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        layout = distribution.get_data_layout(array.shape).backend_layout
        return jax.device_put(array.astype(jax.dtypes.canonicalize_dtype(array.dtype)), layout)

    return keras.tree.map_structure(put, rows)


def _distribution_here() -> Any:
    """Keras' distribution, where it is one and all of its devices belong to this process."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    devices = distribution.device_mesh.backend_mesh.devices.ravel()
    mine = all(device.process_index == jax.process_index() for device in devices)
    return distribution if mine else None


def chain_layout(num_chains: int, most_rows: int) -> Any:
    distribution = _distribution_here()
    if distribution is None:
        return None
    devices = distribution.device_mesh.backend_mesh.devices.ravel()
    # The fewest devices on which no one has more chains than on all.
    across = math.ceil(num_chains / math.ceil(num_chains / len(devices)))
    rows = max(1, min(len(devices) // across, most_rows))
    if across * rows == 1:
        return None
    return _Layout(
        Mesh(devices[: across * rows].reshape(across, rows), ("chains", "rows")), num_chains
    )


def row_devices(layout: Any) -> int:
    return 1 if layout is None else int(layout.mesh.shape["rows"])


def place(value: Any, axes: Any, layout: Any) -> Any:
    if layout is None:
        return value
    whole = layout.each * layout.mesh.shape["chains"] == layout.num_chains

    def put(axes: str, leaf: Any) -> Any:
        # An array of uneven parts is no array of JAX: the program cuts it.
        spec = _spec(axes if whole else axes.replace("c", "."))
        return jax.device_put(leaf, NamedSharding(layout.mesh, spec))

    return _with_axes(put, axes, value)


def compile_over_chains(
    function: Callable[..., Any], arguments: tuple[Any, ...], results: Any, layout: Any
) -> Callable[..., Any]:
    if layout is None:
        return compile_function(function)

    def here(*values: Any) -> Any:
        with _running(layout):
            return function(*values)

    apart = shard_map(
        here,
        mesh=layout.mesh,
        in_specs=jax.tree.map(_spec, arguments),
        out_specs=jax.tree.map(_spec, results),
        **_UNCHECKED,
    )

    def fill(axes: str, leaf: Any) -> Any:
        return jnp.take(leaf, layout.numbers, axis=axes.index("c")) if "c" in axes else leaf

    def cut(axes: str, leaf: Any) -> Any:
        if "c" not in axes:
            return leaf
        return jax.lax.slice_in_dim(leaf, 0, layout.num_chains, axis=axes.index("c"))

    def run(*values: Any) -> Any:
        if len(layout.numbers) == layout.num_chains:
            return apart(*values)
        return _with_axes(cut, results, apart(*_with_axes(fill, arguments, values)))

    compiled = jax.jit(run)
    return lambda *values: compiled(*place(values, arguments, layout))


def chain_normals(shape: tuple[int, ...], seed: Any) -> Any:
    layout = _RUNNING.get()
    if layout is None:
        return standard_normal(shape, seed)
    return normals_from(shape, seed, jax.lax.axis_index("chains") * math.prod(shape))


def all_chains(leaf: Any) -> Any:
    """Of what each device has of its chains, an array (chains, ...) on each of them."""
    layout = _RUNNING.get()
    if layout is None:
        return leaf
    return jax.lax.all_gather(leaf, "chains", tiled=True)[: layout.num_chains]


def all_rows(sums: Any) -> Any:
    """Sums over the rows of a device, added up over those that share the rows."""
    layout = _RUNNING.get()
    return sums if row_devices(layout) == 1 else jax.lax.psum(sums, "rows")


def running() -> Any:
    """The layout of the program that is traced; None where it has one device."""
    return _RUNNING.get()


@contextlib.contextmanager
def _running(layout: _Layout) -> Iterator[None]:
    token = _RUNNING.set(layout)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def _spec(axes: str) -> PartitionSpec:
    return PartitionSpec(*(_AXES[axis] for axis in axes))


def _with_axes(function: Callable[[str, Any], Any], axes: Any, value: Any) -> Any:
    """`function(axes, leaf)` of each leaf; one word of axes may stand for all leaves below."""
    return jax.tree.map(
        lambda each, part: jax.tree.map(lambda leaf: function(each, leaf), part), axes, value
    )
