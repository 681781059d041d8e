"""Every setting of a run: name, type, default, meaning and valid values in one place.

The text under each field is its help in `settings.toml` and in the dashboard's editor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Place:
    """Marks a setting that names something outside the run; see `run/places.py`."""

    may_be_name: bool = False
    """Whether what is no folder is the name of something on the hub."""
    words: tuple[str, ...] = ()
    """Values with a meaning of their own."""


FolderOrName = Annotated[str, Place(may_be_name=True)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]
DType = Literal["float32", "bfloat16", "float16", "float64"]
Strategy = Literal["ekfac", "kfac", "diagonal", "identity"]
ProcessCount = Annotated[int, Field(ge=1, le=256)] | Literal["gpus"]
ModuleGroup = Literal["mlp", "attention", "all"]
BENCHMARKS = (
    "mmlu", "hellaswag", "truthfulqa", "arc", "gsm8k", "boolq", "winogrande", "lambada", "bbh",
    "drop", "mathqa", "logiqa", "bbq", "ifeval", "squad", "humaneval", "equitymedqa",
)  # fmt: skip


_LARGEST = 2**53
"""JSON and float64 hold whole numbers exactly up to here; nothing that is counted is larger."""


class Section(BaseModel):
    """A table of settings.toml: immutable, and no key but the ones below."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*")
    @classmethod
    def _not_beyond_all_bounds(cls, value: object) -> object:
        if isinstance(value, int) and value > _LARGEST:
            raise PydanticCustomError("too_large", f"a whole number has at most {_LARGEST:,}")
        return value


class RunSettings(Section):
    """The run as a whole."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything random: corpus split, weights, order, sampled Fisher labels."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute: "auto" takes a GPU if there is one."""
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """CPU threads of a worker; 0 means all that this process may use, shared among the workers."""
    workers: ProcessCount = 1
    """How many processes here share factors, scores, retrainings, index and benchmarks; "gpus" =
    one on every visible GPU. Of factors and scores they share partitions: *_data_partitions
    should be several times as many. `headwater work RUN` adds workers anywhere."""
    tf32: Literal[False, True, "auto"] = "auto"
    """Let a GPU compute factors and scores in TF32: faster, 3 digits.
    "auto" = where a measured gradient moves by less than a twentieth; never on a CPU."""


class DataSettings(Section):
    """The corpus that the model is trained on."""

    source: Literal["demo", "hub", "local"] = "local"
    """"demo" = made from the seed, with planted facts; "hub" = a dataset; "local" = files."""
    path: Annotated[str, Place()] = ""
    """Hub: dataset name, e.g. "Skylion007/openwebtext".
    Local: a .jsonl, .json, .parquet, .csv, .arrow or .txt file, also packed by gzip, bzip2, xz or
    zstd; a folder of them; or a folder that Dataset.save_to_disk wrote. A .txt file is one
    document; many short texts are rows of one of the others."""
    config: str = ""
    """Hub: dataset configuration; empty = the default one."""
    split: str = "train"
    """Which split. Local: of a saved dataset, or of files or folders that are called train, test or
    validation; what belongs to no split is read as well, and "" reads all."""
    streaming: bool = False
    """Hub: read rows as they come instead of downloading the whole dataset first."""
    form: Literal["text", "completion", "chat"] = "text"
    """"text" = documents; "completion" = prompts with completions, which alone carry loss;
    "chat" = conversations, of which the assistant's turns alone do."""
    text_column: str = "text"
    """Form "text": column (or JSON key) that holds the document."""
    prompt_column: str = "prompt"
    """Form "completion": column of what is given; else "instruction" (with "input") or "question"
    is taken."""
    completion_column: str = "completion"
    """Form "completion": column of what follows it; else "output" or "answer" is taken."""
    messages_column: str = "messages"
    """Form "chat": column with the list of messages, each with role and content; else
    "conversations", with from and value, is taken."""
    chat_template: Annotated[str, Place(words=("zephyr",))] = ""
    """How conversations are written: empty = the tokenizer's own template; "zephyr" = a plain one
    for base models; else a file with a Jinja template."""
    id_column: str = ""
    """Column with a document id that is unique; empty = ids are made from the text."""
    limit: Annotated[int, Field(ge=0)] = 0
    """Read at most this many rows; 0 = all."""
    max_tokens: Annotated[int, Field(ge=8)] = 512
    """Longer documents are cut into chunks of this many tokens, each a training example."""
    validation_fraction: Fraction = 0.05
    """Share of documents held out from training, to measure validation loss."""
    held_out: Annotated[str, Place()] = ""
    """A JSON file with a list of document ids: these are held out, and no share at random. Empty =
    the share. A run that `headwater curate` clones names the documents of the run before."""
    duplicate_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Jaccard similarity of word 5-grams from which two examples count as near-duplicates."""
    strict: bool = False
    """true = stop at the first unreadable row instead of skipping and counting it."""
    min_read_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.9
    """Stop where less than this share of the corpus's bytes became documents; 0 = never. Below 0.99
    there is a warning. Rows without text are left aside."""

    @property
    def has_template_file(self) -> bool:
        """Whether the chat template is a file of its own."""
        return self.chat_template not in ("", "zephyr")


class TokenizerSettings(Section):
    """How text becomes tokens."""

    source: Annotated[str, Place(may_be_name=True, words=("model", "train"))] = "model"
    """"model" = the pretrained model's own; "train" = trained on the corpus;
    else a hub name or a local folder."""
    vocab_size: Annotated[int, Field(ge=300)] = 8192
    """Number of pieces when the tokenizer is trained on the corpus."""


class ModelSettings(Section):
    """The network."""

    init: Literal["scratch", "pretrained"] = "pretrained"
    """"scratch" = random weights in the shape of `preset`; "pretrained" = the weights of `name`."""
    preset: Literal["nano", "micro", "small", "tinyllama-1.1b"] = "nano"
    """Shape for init = "scratch"."""
    name: FolderOrName = "TinyLlama/TinyLlama_v1.1"
    """Hub name or local folder for init = "pretrained"."""
    trained: FolderOrName = ""
    """Hub name or folder of a model that was trained elsewhere on `data`: a whole model, a
    Trainer's checkpoint or an adapter. Nothing is trained then; `name` is its base, or empty."""
    quantization: Literal["none", "8bit", "4bit"] = "none"
    """Rounds the base under an adapter by bitsandbytes: to a quarter of float32's memory, or with
    4 bit (nf4, as QLoRA) to an eighth."""
    recipe_known: bool = False
    """true = [train] says how `trained` was trained: validate may then train it again."""

    @model_validator(mode="before")
    @classmethod
    def _trained_from_no_default(cls, values: object) -> object:
        """The base of a model trained elsewhere is never guessed."""
        if isinstance(values, dict) and values.get("trained"):
            return {"name": "", **values}
        return values


class LoraSettings(Section):
    """Training of an adapter (LoRA, by the library peft) in place of all weights."""

    rank: Annotated[int, Field(ge=0)] = 0
    """Rank of the two matrices beside every chosen linear layer; 0 = no adapter."""
    alpha: Count = 16
    """What they add is multiplied by alpha ÷ rank."""
    dropout: Fraction = 0.0
    """Share of their inputs that is left out at random in training."""
    target_modules: Annotated[list[str], Field(min_length=1)] = ["all-linear"]
    """Linear layers that get them, by the ends of their names, as ["q_proj", "v_proj"];
    ["all-linear"] = all but the vocabulary projection."""
    rslora: bool = False
    """true = multiply by alpha ÷ √rank instead (rank-stabilised LoRA)."""


class TrainSettings(Section):
    """Training or fine-tuning."""

    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the training examples."""
    max_steps: Annotated[int, Field(ge=0)] = 0
    """Stop after this many optimiser steps; 0 = as `epochs` says."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-5
    """Peak of the cosine schedule."""
    min_learning_rate_ratio: Fraction = 0.1
    """The cosine schedule ends at this share of the peak."""
    warmup_fraction: Fraction = 0.03
    """Share of the steps in which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW weight decay, on matrices only."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    batch_tokens: Annotated[int, Field(ge=8)] = 8192
    """Token budget of one batch, padding counted; whole examples of like length share a batch."""
    gradient_accumulation: Count = 1
    """Batches to an optimiser step."""
    processes: ProcessCount = 1
    """How many processes on this machine share the examples of every batch, no more than the
    smallest batch has examples: a number on CPUs; "gpus" = one on every visible GPU.
    Another value trains anew."""
    shard: bool = False
    """Share the weights, gradients and optimiser's state among the processes as well (FSDP), for a
    training that does not fit on one device; not for adapters."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """"auto" = bfloat16 where the GPU has it, else float32."""
    gradient_checkpointing: bool = False
    """Trade time for memory by computing activations again in the backward pass."""
    validation_every: Annotated[int, Field(ge=0)] = 0
    """Steps between validation losses; 0 = ten times a run."""
    checkpoint_every: Annotated[int, Field(ge=0)] = 0
    """Steps between checkpoints; 0 = ten times a run."""
    keep_checkpoints: Count = 2
    """How many of the newest checkpoints to keep."""
    trackers: list[Literal["tensorboard", "wandb", "trackio"]] = []
    """Also report to these (each must be installed): "tensorboard", "wandb", "trackio"."""


class ModuleSettings(Section):
    """Which linear layers influence looks at."""

    group: ModuleGroup = "mlp"
    """"mlp", "attention" or "all" linear modules of the decoder layers,
    never the vocabulary projection."""
    layers: str = "all"
    """"all", or a list such as "0-3,8,21"."""
    names: list[str] = []
    """Exact module names; when given, `group` and `layers` are not used."""
    adapter: Literal["matrices", "merged"] = "matrices"
    """Where there is an adapter: "matrices" = its own, which were trained; "merged" = the layers'
    whole weights with it merged into them."""


class FactorSettings(Section):
    """Curvature factors (Kronfluence's arguments under Kronfluence's names)."""

    strategies: Annotated[list[Strategy], Field(min_length=1)] = ["ekfac"]
    """Which curvatures to fit; the first one ranks the examples, the others stand beside it."""
    fisher: Literal["true", "empirical"] = "true"
    """"true" samples labels from the model (seeded); "empirical" takes the data's own."""
    batch_size: Annotated[int, Field(ge=0)] = 0
    """Examples a batch if they are the longest, more if they are shorter; 0 = what fits."""
    covariance_max_examples: Annotated[int, Field(ge=0)] = 100_000
    """Examples to fit the covariances on; 0 = all."""
    covariance_data_partitions: Count = 1
    """Parts of the data; each is saved as it finishes, so a killed fit goes on from there."""
    covariance_module_partitions: Count = 1
    """Parts of the modules, fitted one after the other to save memory."""
    lambda_max_examples: Annotated[int, Field(ge=0)] = 100_000
    """Examples to fit the eigenvalues (Lambda) on; 0 = all."""
    lambda_data_partitions: Count = 1
    """As covariance_data_partitions, for Lambda."""
    lambda_module_partitions: Count = 1
    """As covariance_module_partitions, for Lambda."""
    use_iterative_lambda_aggregation: bool = False
    """Lambda one example at a time: slower, less memory."""
    offload_activations_to_cpu: bool = False
    """Keep cached activations in host memory."""
    amp_dtype: Literal["auto", "none", "bfloat16", "float16"] = "auto"
    """Automatic mixed precision in forward and backward; sums and scores stay as named below.
    "auto" = bfloat16 where a GPU has it and a measured gradient moves by less than a twentieth with
    it, else none; none on a CPU."""
    activation_covariance_dtype: DType = "float32"
    """Precision of the activation covariance."""
    gradient_covariance_dtype: DType = "float32"
    """Precision of the gradient covariance."""
    eigendecomposition_dtype: DType = "float64"
    """Precision of the eigendecomposition."""
    per_sample_gradient_dtype: DType = "float32"
    """Precision of per-example gradients."""
    lambda_dtype: DType = "float32"
    """Precision of Lambda."""


class ScoreSettings(Section):
    """Influence of every training example on every prompt."""

    damping: Annotated[float, Field(ge=0)] | Literal["heuristic"] = "heuristic"
    """Added to the curvature's eigenvalues before inverting;
    "heuristic" = 0.1 × their mean in each module."""
    normalize: bool = True
    """Rank by score / √self-influence, so that long or odd examples do not crowd the top."""
    second_opinions: list[Literal["bm25", "gradient_cosine", "hidden_cosine"]] = [
        "bm25",
        "gradient_cosine",
        "hidden_cosine",
    ]
    """Rankings without curvature to stand beside: "bm25" (word overlap), "gradient_cosine",
    "hidden_cosine" (likeness of what the model's last layer makes of the texts)."""
    top: Annotated[int, Field(ge=1)] = 50
    """Examples kept with their text at each end of every ranking."""
    token_top: Annotated[int, Field(ge=0)] = 10
    """Top examples a prompt that get per-token scores."""
    batch_size: Annotated[int, Field(ge=0)] = 0
    """Training examples a batch if they are the longest, else more; 0 = what fits."""
    query_batch_size: Annotated[int, Field(ge=0)] = 0
    """Prompts whose gradients are held at once; 0 = up to 32 on a CPU, up to 8 on a GPU."""
    query_gradient_low_rank: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Rank that prompt gradients are compressed to; 0 = full rank. "auto" = 64 on a GPU where that
    saves passes and ranks of a sample stay, else full."""
    use_full_svd: bool = False
    """Exact instead of randomised SVD for the compression."""
    query_gradient_accumulation_steps: Annotated[int, Field(ge=0)] = 0
    """Prompt batches gathered before one pass over the training examples; 0 = what a GPU's memory
    holds, on a CPU 2 GiB."""
    data_partitions: Count = 1
    """Parts of the training data, each saved as it finishes."""
    module_partitions: Count = 1
    """Parts of the modules, scored one after the other to save memory."""
    offload_activations_to_cpu: bool = False
    """Keep cached activations in host memory."""
    amp_dtype: Literal["auto", "none", "bfloat16", "float16"] = "auto"
    """Automatic mixed precision in forward and backward; sums and scores stay as named below.
    "auto" = bfloat16 where a GPU has it and a measured gradient moves by less than a twentieth with
    it, else none; none on a CPU."""
    query_gradient_svd_dtype: DType = "float32"
    """Precision of the compression."""
    per_sample_gradient_dtype: DType = "float32"
    """Precision of per-example gradients."""
    precondition_dtype: DType = "float32"
    """Precision of preconditioned gradients."""
    score_dtype: DType = "float32"
    """Precision of the scores."""


class PromptSettings(Section):
    """The prompts whose answers are traced."""

    path: Annotated[str, Place()] = "prompts"
    """A .jsonl or .json file, or a folder of them: {"id", "prompt", "completion"}.
    The demo corpus brings its own."""
    use_generated: bool = False
    """true = trace the trained model's own greedy answers instead of the given completions."""
    max_new_tokens: Count = 64
    """Length limit of generated answers."""


class InspectSettings(Section):
    """Pictures and tables of the factors."""

    clip_percentile: Annotated[float, Field(gt=50.0, le=100.0)] = 99.0
    """Λ maps: values above this percentile share the last colour."""
    colormap: str = "viridis"
    """Λ maps: a matplotlib colour map."""


class GenerateSettings(Section):
    """Answers of both models to the prompts, for their comparison."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 = greedy decoding; above, tokens are drawn from the seed."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Where tokens are drawn: only from the likeliest that hold this share of probability."""
    stop: list[str] = ["\n\n"]
    """Texts at which an answer ends."""
    max_new_tokens: Count = 64
    """Length limit of an answer."""
    batch_tokens: Annotated[int, Field(ge=8)] = 8192
    """Token budget of one batch, with padding and with what is to be written."""


class BenchmarkSettings(Section):
    """Public benchmarks, through DeepEval; they run when asked for: evaluate --type deepeval."""

    chosen: Annotated[list[str], Field(min_length=1)] = [
        "mmlu/professional_law",
        "mmlu/international_law",
        "mmlu/business_ethics",
    ]
    """Benchmarks, or benchmark/task: mmlu, hellaswag, truthfulqa, arc, gsm8k, boolq, winogrande,
    lambada, bbh, drop, mathqa, logiqa, bbq, ifeval, squad, humaneval."""
    data: Annotated[str, Place(words=("hub",))] = "hub"
    """Where their rows are: "hub", or a folder of <hub name, "__" for "/">/<config>/<split>.jsonl
    files with the hub's columns."""
    models: Annotated[list[Literal["base", "trained"]], Field(min_length=1)] = ["base", "trained"]
    """Which models answer."""
    shots: Annotated[int, Field(ge=-1)] = -1
    """Few-shot examples before every question; -1 = the benchmark's usual number."""
    limit: Annotated[int, Field(ge=0)] = 0
    """Questions of each benchmark or task at most, the first ones; 0 = all."""
    ask: Annotated[list[Literal["letters", "texts"]], Field(min_length=1)] = ["letters", "texts"]
    """How choice questions are put: "letters" = options listed, their letters ranked; "texts" =
    the options' own texts ranked, which small models can do too."""
    chat_template: bool = False
    """true = questions are put as what a user says, by the model's chat template, as
    lm-evaluation-harness's --apply_chat_template does."""
    batch_tokens: Annotated[int, Field(ge=8)] = 16384
    """Token budget of one batch of questions, kept few-shot examples counted."""
    max_new_tokens: Count = 256
    """Length limit of written answers."""
    run_code: bool = False
    """true = run the code that models write for humaneval, confined by the kernel (bubblewrap or
    Landlock, and seccomp); refused where that is not possible."""

    @field_validator("chosen")
    @classmethod
    def _known(cls, chosen: list[str]) -> list[str]:
        for entry in chosen:
            if entry.split("/")[0] not in BENCHMARKS:
                raise ValueError(
                    f"benchmark.chosen: there is no benchmark {entry.split('/')[0]!r}; "
                    f"valid: {', '.join(BENCHMARKS)}"
                )
        return chosen


class IndexSettings(Section):
    """The index behind `headwater ask`; it is made when asked for, and by the first question."""

    features: Annotated[int, Field(ge=16)] = 8192
    """Numbers of 2 bytes that are kept of every example; more find the best examples surer."""
    candidates: Annotated[int, Field(ge=1)] = 1000
    """Examples that the index finds best are scored again by the exact method."""
    added: Annotated[list[str], Place()] = []
    """Texts to trace questions to beside the training examples: files or folders, as data.path;
    `headwater index RUN --add PATH` names one and indexes it alone."""


class ValidationSettings(Section):
    """Whether rankings mean anything: models trained again; runs when asked for, by validate."""

    seeds: Annotated[int, Field(ge=0)] = 3
    """Trainings of each removal, each with the examples in another order; 0 = no removal."""
    removed: Count = 5
    """Examples that are left out for every prompt: the ranking's first, BM25's, random ones."""
    removal_groups: Count = 1
    """The prompts are parted into so many groups; a training leaves out one group's examples."""
    subsets: Annotated[int, Field(ge=0)] = 16
    """Random halves of the examples to train on, for the linear datamodeling score; 0 = none."""
    subset_seeds: Count = 1
    """Trainings on each half, averaged."""
    dampings: list[Annotated[float, Field(ge=0)]] = [1e-8, 1e-4]
    """Values to score with beside scores.damping."""
    fisher_seeds: Annotated[int, Field(ge=0)] = 1
    """How often the curvature is fitted again with other sampled labels, to see if ranks stay."""
    tail_patch: Annotated[int, Field(ge=0)] = 5
    """First examples of every prompt that one step is taken on; 0 = none."""
    outside: Annotated[list[str], Place()] = []
    """Other tools' scores [prompts, examples] to judge beside ours, positive = proponent: .npy or
    .safetensors files."""


class Settings(Section):
    """All settings of one run."""

    run: RunSettings = RunSettings()
    data: DataSettings = DataSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    model: ModelSettings = ModelSettings()
    lora: LoraSettings = LoraSettings()
    train: TrainSettings = TrainSettings()
    modules: ModuleSettings = ModuleSettings()
    factors: FactorSettings = FactorSettings()
    scores: ScoreSettings = ScoreSettings()
    prompts: PromptSettings = PromptSettings()
    inspect: InspectSettings = InspectSettings()
    generate: GenerateSettings = GenerateSettings()
    benchmark: BenchmarkSettings = BenchmarkSettings()
    index: IndexSettings = IndexSettings()
    validation: ValidationSettings = ValidationSettings()

    @field_validator("factors")
    @classmethod
    def _no_strategy_twice(cls, factors: FactorSettings) -> FactorSettings:
        if len(set(factors.strategies)) < len(factors.strategies):
            raise ValueError("factors.strategies names a strategy twice")
        return factors

    @model_validator(mode="after")
    def _whole_makes_sense(self) -> Settings:
        if self.data.source != "demo" and not self.data.path:
            raise ValueError(
                "data.path is empty: name a dataset, a file or a folder, "
                'or set data.source = "demo"'
            )
        if self.data.source == "demo" and self.data.form == "completion":
            raise ValueError(
                'data.form = "completion" needs data of its own: with data.source = "demo" take '
                '"text" or "chat"'
            )
        if self.model.init == "scratch" and self.tokenizer.source == "model":
            raise ValueError(
                'tokenizer.source = "model" needs model.init = "pretrained"; '
                'a model from scratch takes "train", a hub name or a local folder'
            )
        if (
            self.data.form == "chat"
            and self.tokenizer.source == "train"
            and not self.data.chat_template
        ):
            raise ValueError(
                'data.form = "chat" with tokenizer.source = "train" needs data.chat_template: a '
                'tokenizer trained on the corpus has none; "zephyr" will do, or a .jinja file'
            )
        _check_model(self.model, self.lora)
        _check_quantization(self)
        if self.scores.amp_dtype == "float16" != self.factors.amp_dtype:
            raise ValueError(
                'scores.amp_dtype = "float16" needs factors.amp_dtype = "float16" too: only then '
                "does Kronfluence keep small gradients from vanishing; or take bfloat16"
            )
        return self


def _check_model(model: ModelSettings, lora: LoraSettings) -> None:
    if model.init == "scratch" and model.trained:
        raise ValueError('model.trained needs model.init = "pretrained"')
    if model.init == "pretrained" and not model.name and not model.trained:
        raise ValueError("model.name is empty: name a model on the hub or a local folder")
    if model.trained and lora.rank:
        raise ValueError(
            "lora.rank trains an adapter, but model.trained is trained already: "
            "leave one of the two out"
        )


def _check_quantization(settings: Settings) -> None:
    named = f'model.quantization = "{settings.model.quantization}"'
    if settings.model.quantization == "none":
        return
    if settings.model.init == "scratch" or not (settings.lora.rank or settings.model.trained):
        raise ValueError(
            f"{named} needs an adapter on a pretrained model: rounded weights take no gradients; "
            "set lora.rank, or name an adapter in model.trained"
        )
    if settings.modules.adapter == "merged":
        raise ValueError(
            f'{named} leaves no whole weights to trace: set modules.adapter = "matrices", or '
            'model.quantization = "none"'
        )
