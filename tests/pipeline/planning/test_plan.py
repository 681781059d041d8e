"""A plan's figures: against tensors of TinyLlama's shape, and against processes of the demo."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import SettingsError, UsageError
from pipeline.contract.results.plan import Counts, Plan, plan_of, read_plan
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import PROFILES, render_settings
from pipeline.contract.settings.schema import Settings
from pipeline.influence.arguments import covariance_bytes, curvature_bytes, gradient_bytes
from pipeline.influence.loss import summed_loss
from pipeline.planning.counts import expected_counts
from pipeline.planning.devices import card_of_memory, named_card
from pipeline.planning.memory import Memory
from pipeline.planning.network import Network, network_of
from pipeline.planning.plan import make_plan

COUNTS = Counts(100_000, 51_200_000, 512, 100, "the test")


def settings_of(**sections: dict[str, object]) -> Settings:
    """TinyLlama's shape, defaults else."""
    given: dict[str, dict[str, object]] = {
        "data": {"path": "corpus"},
        "tokenizer": {"source": "train"},
        "model": {"init": "scratch", "preset": "tinyllama-1.1b"},
    }
    return Settings.model_validate(given | sections)


@pytest.fixture(scope="module")
def tinyllama() -> Network:
    return network_of(settings_of(), vocabulary=32_000)


def planned(network: Network, tmp_path: Path, gpu: str, **sections: dict[str, object]) -> Plan:
    device = named_card(gpu, tmp_path)
    return make_plan(settings_of(**sections), network, COUNTS, device, RunDir(tmp_path))


def test_an_80_gb_card_scores_100_prompts_of_tinyllama_in_5_passes(
    tinyllama: Network, tmp_path: Path
) -> None:
    plan = planned(tinyllama, tmp_path, "A100-80GB")
    assert plan.parameters == 1_100_048_384
    assert (plan.modules, plan.prompt_gradient) == (66, 66 * 2048 * 5632 * 4)
    assert plan.prompt_passes <= 5
    scores = next(stage for stage in plan.by_stage if stage.stage == "scores")
    assert scores.device
    assert scores.device.bytes <= plan.hardware.capacity


def test_compressed_gradients_share_one_pass(tinyllama: Network, tmp_path: Path) -> None:
    compressed: dict[str, object] = {"query_gradient_low_rank": 64}
    assert planned(tinyllama, tmp_path, "A100-80GB", scores=compressed).prompt_passes == 1


@pytest.mark.parametrize("gpu", ["A100-80GB", "A100-40GB", "L40S"])
def test_what_is_advised_fits(tinyllama: Network, tmp_path: Path, gpu: str) -> None:
    def room(device: Any) -> Any:  # of the host there is enough
        return replace(device, hardware=replace(device.hardware, host=2**40, disk=2**45))

    device = room(named_card(gpu, tmp_path))
    big: dict[str, object] = {"batch_tokens": 2**18}
    plan = make_plan(settings_of(train=big), tinyllama, COUNTS, device, RunDir(tmp_path))
    (train,) = (advice for advice in plan.advice if advice.why.startswith("train does not fit"))
    changed = settings_of(train={**big, **train.changes["train"]})
    then = make_plan(changed, tinyllama, COUNTS, device, RunDir(tmp_path))
    assert not any(advice.why.startswith("train does not fit") for advice in then.advice)
    tokens = train.changes["train"]["batch_tokens"]
    assert int(tokens) * int(train.changes["train"]["gradient_accumulation"]) == 2**18


def test_a_card_that_is_too_small_gets_its_modules_in_parts(
    tinyllama: Network, tmp_path: Path
) -> None:
    device = card_of_memory(14 * 2**30, tmp_path)
    device = replace(device, hardware=replace(device.hardware, host=2**40))
    plan = make_plan(settings_of(), tinyllama, COUNTS, device, RunDir(tmp_path))
    (advice,) = (one for one in plan.advice if one.why.startswith("factors does not fit"))
    assert int(advice.changes["factors"]["covariance_module_partitions"]) >= 2
    assert all(stage.seconds is None for stage in plan.by_stage)  # nobody knows how fast it is


def test_cards_that_nobody_knows_are_refused_by_the_names_of_the_others(tmp_path: Path) -> None:
    assert named_card("a100 80gb", tmp_path).hardware.name == "A100-80GB"
    with pytest.raises(UsageError, match="valid: H200, H100-80GB, A100-80GB"):
        named_card("Voodoo2", tmp_path)


def test_what_nobody_can_count_is_asked_for() -> None:
    hub = Settings.model_validate({"data": {"source": "hub", "path": "some/text", "limit": 5}})
    with pytest.raises(UsageError) as told:
        expected_counts(hub, prompts=3)
    assert "--examples" in told.value.hint
    assert expected_counts(hub, examples=5, prompts=3).tokens == 5 * hub.data.max_tokens


def test_every_process_of_a_training_has_all_but_the_batch(
    tinyllama: Network, tmp_path: Path
) -> None:
    card = named_card("A100-80GB", tmp_path)
    device = replace(card, hardware=replace(card.hardware, kind="cpu"))
    memories = (
        Memory(settings_of(train={"processes": count}), tinyllama, COUNTS, device, 10)
        for count in (1, 3)
    )
    alone, shared = (memory.moments("train")[-1].host for memory in memories)
    for part in ("weights", "gradients", "optimiser (two moments)"):
        assert shared[part] == 3 * alone[part]
    assert shared["a batch"] == alone["a batch"]
    assert shared["further processes"] == 2 * (alone["libraries"] + alone["corpus"])


def test_every_gpu_has_a_process_with_its_share_of_the_batch(
    tinyllama: Network, tmp_path: Path
) -> None:
    chosen: dict[str, object] = {"processes": "gpus"}
    one, four = (
        planned(tinyllama, tmp_path, gpu, train=chosen).by_stage[0]
        for gpu in ("A100-80GB", "4 x A100-80GB")
    )
    assert one.device
    assert four.device
    alone, shared = (
        {part.what: part.bytes for part in s.device.parts} for s in (one, four) if s.device
    )
    assert shared["a batch"] == pytest.approx(alone["a batch"] / 4, abs=1)
    assert shared["gradients, while exchanged"] == alone["gradients"] == shared["gradients"]
    assert four.seconds == pytest.approx((one.seconds or 0) / 4)
    assert four.host.bytes > 4 * 1_100_048_384 * 4, "each loads the weights"


def test_gpus_that_share_a_model_hold_their_part_of_it(tinyllama: Network, tmp_path: Path) -> None:
    alone, shared = (
        planned(
            tinyllama, tmp_path, "4xA100-80GB", train={"processes": "gpus", "shard": shard}
        ).by_stage[0]
        for shard in (False, True)
    )
    assert alone.device
    assert shared.device
    whole, part = ({p.what: p.bytes for p in d.parts} for d in (alone.device, shared.device))
    for what in ("weights", "gradients", "optimiser (two moments)"):
        assert part[what] == pytest.approx(whole[what] / 4, abs=1)
    assert "gradients, while exchanged" not in part
    layer = 2 * 2048 * (2048 + 256) + 3 * 2048 * 5632 + 2 * 2048  # of TinyLlama, two norms in it
    gathered = 2 * 4 * (2 * layer + 32_000 * 2048)
    # beside the layers an untied projection of the vocabulary and one norm
    assert part["layers, while gathered"] == pytest.approx(gathered, rel=0.1)


def test_gpus_that_are_not_there_are_refused(tinyllama: Network, tmp_path: Path) -> None:
    card = named_card("A100-80GB", tmp_path)
    device = replace(card, hardware=replace(card.hardware, kind="cpu"))
    settings = settings_of(train={"processes": "gpus"})
    with pytest.raises(SettingsError, match="no GPU is in reach"):
        make_plan(settings, tinyllama, COUNTS, device, RunDir(tmp_path))


# against tensors


def parts_of(network: Network, tmp_path: Path, stage: str, phase: str) -> dict[str, int]:
    """Bytes of what a stage has on an A100 in one of its phases."""
    memory = Memory(settings_of(), network, COUNTS, named_card("A100-80GB", tmp_path), 0)
    moments = {moment.phase: moment.device for moment in memory.moments(stage)}
    return {what: round(taken) for what, taken in moments[phase].items()}


def bytes_of(tensors: Iterator[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_weights_and_matrices_have_the_bytes_of_tensors_of_tinyllamas_shape(
    tinyllama: Network, tmp_path: Path
) -> None:
    modules = [
        module
        for name, module in tinyllama.model.named_modules()
        if isinstance(module, nn.Linear) and ".mlp." in name
    ]
    with torch.device("meta"):
        squares = [
            torch.empty(width, width) for m in modules for width in (m.in_features, m.out_features)
        ]
        gradients = [torch.empty(m.out_features, m.in_features) for m in modules]
        factors = [
            torch.empty(shape)
            for m in modules
            for shape in ((m.out_features, 64), (64, m.in_features))
        ]
    weights = bytes_of(tinyllama.model.parameters())
    covariance = parts_of(tinyllama, tmp_path, "factors", "ekfac covariance")
    squared = parts_of(tinyllama, tmp_path, "factors", "ekfac lambda")
    assert covariance["weights"] == squared["weights"] == weights
    assert covariance["covariances"] == squared["eigenvectors"] == bytes_of(iter(squares))
    assert squared["Lambda"] == gradient_bytes(tinyllama.shapes, 0) == bytes_of(iter(gradients))
    assert gradient_bytes(tinyllama.shapes, 64) == bytes_of(iter(factors))
    assert curvature_bytes(tinyllama.shapes, "ekfac") == bytes_of(iter([*squares, *gradients]))
    train = parts_of(tinyllama, tmp_path, "train", "optimiser step")
    assert train["gradients"] == weights
    assert train["optimiser (two moments)"] == 2 * weights
    assert covariance_bytes(tinyllama.shapes) == covariance["covariances"]


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes that tensors made meanwhile have had at once; they may have no memory."""

    def __init__(self, known: Iterator[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._drop, key, storage.nbytes())

    def _drop(self, key: int, count: int) -> None:
        self._known.discard(key)
        self.now -= count


@contextmanager
def keeping_inputs(model: nn.Module) -> Iterator[None]:
    """While entered, MLP modules keep their inputs, as influence's hooks do."""
    kept: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _m, inputs, _o: kept.append(inputs[0]))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".mlp." in name
    ]
    yield
    for hook in hooks:
        hook.remove()


def live_bytes(network: Network, examples: int, length: int) -> int:
    """Of a forward and a backward pass over so many examples, as influence runs it."""
    model = network.model
    with torch.device("meta"):
        ids = torch.zeros(examples, length, dtype=torch.long)
        mask = torch.ones(examples, 1, length, length, dtype=torch.bool)
    embedding = model.get_input_embeddings()
    hook = embedding.register_forward_hook(lambda _m, _i, output: output.requires_grad_())
    live = LiveBytes(model.parameters())
    model.requires_grad_(False)
    with sdpa_kernel(SDPBackend.MATH), keeping_inputs(model), live:
        hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
        flat = hidden.last_hidden_state.flatten(0, 1)
        loss = summed_loss(model.get_output_embeddings(), flat, ids.flatten())  # type: ignore[no-untyped-call]
        del hidden, flat
        loss.backward()  # type: ignore[no-untyped-call]
    hook.remove()
    return live.most


@pytest.mark.parametrize(("examples", "length"), [(1, 512), (2, 512), (8, 128)])
def test_a_batch_takes_what_is_estimated_of_tinyllama(
    tinyllama: Network, examples: int, length: int
) -> None:
    measured = live_bytes(tinyllama, examples, length)
    estimated = examples * length * tinyllama.token_bytes(length)
    assert 0.7 * measured < estimated < 1.3 * measured


# against processes


def run_process(*arguments: str) -> tuple[int, str]:
    """The peak of a process's memory in bytes, and what it printed.

    Another process starts it and measures: what the one that starts it has taken itself counts
    into the figure on Linux, and the tests take more than a stage.
    """
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *python_command(*arguments)],
        stdout=subprocess.PIPE,
        env=child_environment(),
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed, _, peak = done.stdout.rstrip().rpartition("\n")
    return int(peak) * 1024, printed


def test_the_demos_stages_take_the_memory_that_was_planned(tmp_path: Path) -> None:
    """The demo with fewer steps and strategies, none of which takes more memory than the others."""
    demo = PROFILES["demo"]
    chosen = Settings.model_validate(
        demo
        | {
            "train": {**demo["train"], "max_steps": 20},
            "factors": {**demo["factors"], "strategies": ["ekfac"]},
            "scores": {**demo["scores"], "second_opinions": []},
        }
    )
    run = RunDir(tmp_path / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(chosen))
    run_process("-m", "pipeline", "prepare", str(run.root))
    at_start = read_plan(run)
    _, printed = run_process("-m", "pipeline.planning", json.dumps({"run": str(run.root)}))
    plan = plan_of(json.loads(printed.splitlines()[-1])["plan"])
    assert plan.counts == at_start.counts
    assert (plan.counts.examples, plan.counts.prompts) == (1425, 50)
    for name in ("train", "factors", "scores"):
        measured, _ = run_process("-m", "pipeline", name, str(run.root))
        for planned_stage in (*plan.by_stage, *at_start.by_stage):
            if planned_stage.stage == name:
                assert 0.7 * measured < planned_stage.host.bytes < 1.3 * measured, name
                assert planned_stage.device is None
