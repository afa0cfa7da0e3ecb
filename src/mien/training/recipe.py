"""Recipes: everything that decides how a network is trained, in one frozen value.

`recipe_files.py` reads them; unknown keys are refused.
"""

import hashlib
import json
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from mien.models.grammar import PlainCNN
from mien.models.pretrained import Source
from mien.preprocess import InputSpec

Share = Annotated[float, Field(ge=0, le=1)]
Flip = Literal["none", "alternate", "random", "both"]
NETWORK_KINDS = ("a network's name", "a spelled-out network")
Network = Annotated[
    Annotated[str, Tag(NETWORK_KINDS[0])] | Annotated[PlainCNN, Tag(NETWORK_KINDS[1])],
    Discriminator(lambda value: NETWORK_KINDS[isinstance(value, dict | PlainCNN)]),
]


class Section(BaseModel):
    """A part of a recipe: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(Section):
    """Which faces to learn from, and which to choose by."""

    train: str = "Training"
    """Split to learn from."""
    validate_on: str = "PublicTest"
    """Split to watch, to choose and to calibrate by; never PrivateTest."""

    @model_validator(mode="after")
    def _spares_private_test(self) -> "DataSection":
        if "PrivateTest" in (self.train, self.validate_on):
            raise ValueError("PrivateTest is for reporting; learn from Training and choose on PublicTest")
        if self.train == self.validate_on:
            raise ValueError("choose on other faces than those learnt from; `mien data split` divides a split")
        return self


class InputSection(Section):
    """The network's input; goes into the model card as `InputSpec`."""

    face_px: int = Field(48, ge=16)
    """Side of a face crop, as the FaceSet stores it."""
    view_px: int = Field(44, ge=16)
    """Side of the part of it that the network sees."""
    channels: Literal[1, 3] = 1
    """1 for grey, 3 for RGB."""
    mean: tuple[float, ...] = (0.5077,)
    """Mean of FER2013's Training pixels over 255 (computed from the data set)."""
    std: tuple[float, ...] = (0.2550,)
    """Their standard deviation."""

    @model_validator(mode="after")
    def _fits(self) -> "InputSection":
        face_px, channels = self.face_px, self.channels
        if self.view_px > face_px or (face_px - self.view_px) % 2:
            raise ValueError(
                f"view_px is what the network sees of a face of face_px, {face_px}, with an even margin cut off: "
                f"{face_px}, {face_px - 2}, {face_px - 4} …; got {self.view_px}"
            )
        if not len(self.mean) == len(self.std) == channels:
            raise ValueError(
                f"mean and std need one value for each of {channels} channels, as in --set "
                f"'input.mean=[{', '.join(['0.5'] * channels)}]'; got {len(self.mean)} and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std is what pixels are divided by, and so above 0; got {min(self.std):g}")
        return self

    def spec(self) -> InputSpec:
        """Return the same as the foundation's type."""
        return InputSpec(self.face_px, self.view_px, self.channels, self.mean, self.std)


class AugmentationSection(Section):
    """What is done to each face before each look at it; see training/augmentation.py."""

    flip: Flip = "alternate"
    """Mirror faces: `alternate` each one every second epoch, a random half of them first (Jordan 2024, 3.6); `random` a
    random half in each epoch; `both` shows each face and its mirror in every epoch, which makes it twice as long."""
    shift_px: float = Field(2.0, ge=0)
    """Largest shift along each axis, in pixels of the face crop."""
    rotation_deg: float = Field(12.0, ge=0, le=180)
    """Largest rotation to either side."""
    zoom: Share = 0.15
    """Largest enlargement or reduction, as a share of the size."""
    brightness: Share = 0.15
    """Largest change of brightness, as a share of the range."""
    contrast: Share = 0.25
    """Largest change of contrast, as a share of it."""
    blur: Share = 0.0
    """Largest standard deviation of a Gaussian blur, as a share of the side of the view; 0 for none."""
    blur_share: Share = 0.5
    """Share of the faces that are blurred."""
    noise: Share = 0.0
    """Largest standard deviation of Gaussian noise on each pixel, as a share of the range; 0 for none."""
    noise_share: Share = 0.5
    """Share of the faces that get it."""
    cutout_px: int = Field(0, ge=0)
    """Side of a square set to the mean (DeVries & Taylor 2017), in pixels of the picture as it is drawn, which in the
    first epochs may be smaller (`early_px`); 0 for none."""
    cutout_share: Share = 0.5
    """Share of the faces that get one."""
    mixup_alpha: float = Field(0.0, ge=0)
    """Faces and labels are mixed in pairs by a share drawn from Beta(alpha, alpha) (Zhang et al. 2018); 0 for none."""
    mixup_share: Share = 0.5
    """Share of the batches that are mixed."""
    early_px: int | None = Field(None, ge=16)
    """Side at which the first epochs see the same view: smaller pictures are learnt from faster (Howard 2018,
    progressive resizing). Only for networks that take any size."""
    early_share: Share = 0.4
    """Share of the epochs that do."""
    light_share: Share = 0.0
    """Share of the epochs, at the end, in which faces look more as they will be met: moved half as far, and neither
    covered nor mixed (as in YOLOX, Ge et al. 2021)."""

    def at(self, epoch: int, epochs: int) -> "AugmentationSection":
        """Return what is done in an epoch, counted from 0, of so many."""
        if epochs - epoch > self.light_share * epochs:
            return self
        half = {name: getattr(self, name) / 2 for name in ("shift_px", "rotation_deg", "zoom")}
        return self.model_copy(update=half | {"cutout_px": 0, "mixup_alpha": 0.0})

    @property
    def only_mirrors(self) -> bool:
        """Whether a face is shown as it is or mirrored, and changed in no other way."""
        moved = (self.shift_px, self.rotation_deg, self.zoom)
        changed = (self.brightness, self.contrast, self.blur, self.noise, self.cutout_px, self.mixup_alpha)
        return not any(moved + changed) and self.early_px is None

    @field_validator("flip", mode="before")
    @classmethod
    def _yes_means_alternate(cls, value: object) -> object:
        return ("alternate" if value else "none") if isinstance(value, bool) else value  # recipes of version 0.1


class TargetsSection(Section):
    """What the network is to answer; see training/targets.py."""

    kind: Literal["labels", "votes", "drawn"] = "labels"
    """`labels`: the label. `votes`: the voters' distribution over the classes. `drawn`: at each look one class drawn
    from it (Barsoum et al. 2016, 3.2: majority voting is `labels` on FER+, cross-entropy, probabilistic drawing)."""
    vote_share: Share = 0.0
    """Share of the target that is p(label | votes), by a logistic regression on the training faces."""
    teacher_share: Share = 0.5
    """Share of the target that is the teachers' answer, where the recipe names teachers."""
    vote_head: float = Field(0.0, ge=0)
    """Weight in the loss of a second head on the voters' distribution: a further output for each kind of vote."""


class StartSection(Section):
    """Weights to start from: a model of mien's, a run of yours, or a file that fills the convolutions of VGG16."""

    model: str | None = None
    """A bundled model's name (`mien-s`), or the path of an ONNX file that `mien export` wrote, in 32 bits: all its
    weights are taken over, of the last layer those for the classes that both have."""
    run: str | None = None
    """Folder of a finished run instead: likewise."""
    weights: Source | None = None
    """`vggface` (faces, Parkhi et al. 2015) or `vgg16-imagenet` (objects, Simonyan & Zisserman 2015)."""
    file: str | None = None
    """Path of that file: .pth or .safetensors, and for `vggface` also Keras' .h5. `vgg16-imagenet` is downloaded once
    if none is named."""

    @model_validator(mode="after")
    def _has_one_source(self) -> "StartSection":
        if sum(source is not None for source in (self.model, self.run, self.weights)) != 1:
            raise ValueError("name `model`, `run` or `weights` (vggface or vgg16-imagenet), one of the three")
        if self.file is not None and self.weights is None:
            raise ValueError("`file` is where `weights` lie; a model's own path goes into `model`")
        return self


class OptimiserSection(Section):
    """How the weights move."""

    name: Literal["sgd", "rmsprop", "adam", "adamw", "muon"] = "muon"
    """`muon`: Muon on the convolutions and SGD on everything else; the others move every weight."""
    lr: float = Field(0.05, gt=0)
    """Peak rate; with `muon`, that of everything else."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD and RMSProp."""
    nesterov: bool = True
    """SGD's momentum looks ahead (Nesterov); with `muon`, always."""
    weight_decay: float = Field(5e-4, ge=0)
    """L2 penalty; with `adamw`, decay apart from the gradient; with `muon`, none on the convolutions."""
    decay: Literal["weights", "all"] = "weights"
    """Whether matrices and filters alone decay, or biases and norms too."""
    muon_lr: float = Field(0.08, gt=0)
    """Peak rate of Muon."""
    muon_momentum: float = Field(0.6, ge=0, lt=1)
    """Momentum of Muon."""


class ScheduleSection(Section):
    """How the rate changes over the run."""

    name: Literal["constant", "triangle", "cosine", "step", "plateau"] = "triangle"
    """After the warm-up: as it is, down a line to zero, down half a cosine to zero, by `factor` every `step_epochs`,
    or by `factor` when the validation loss has not improved for `patience` epochs."""
    warmup: Share = 0.1
    """Share of all steps over which the rate first rises along a line; `plateau` has none."""
    step_epochs: int = Field(30, ge=1)
    """Epochs between two falls of `step`."""
    factor: float = Field(0.1, gt=0, lt=1)
    """What `step` and `plateau` multiply the rate by."""
    patience: int = Field(5, ge=0)
    """Epochs that `plateau` waits."""


class ResourcesSection(Section):
    """What a training takes of a machine, and what a cluster keeps for it."""

    threads: int | None = Field(None, ge=1)
    """Threads; by default as many as torch takes, or as `mien study run --threads` says."""
    gpus: float | None = Field(None, ge=0)
    """GPUs that a cluster keeps for it, half a one too; by default one, where it has any."""
    memory_gb: float | None = Field(None, gt=0)
    """Memory that a cluster keeps for it; by default it is not asked for any, and trainings may share too little."""


class Recipe(Section):
    """Everything that decides how a network is trained."""

    name: str
    """What users type."""
    about: str
    """One sentence for `mien train --list`."""
    network: Network
    """A name that `mien models` lists, or a plain CNN spelled out: `convs`, `affines` and the other keys of
    models/grammar.py."""
    start: StartSection | None = None
    """Weights to start from; by default none."""
    epochs: int = Field(ge=1)
    """Passes over the training faces."""
    batch_size: int = Field(256, ge=2)
    """Faces in one step."""
    seed: int = Field(0, ge=0)
    """Decides the first weights, the order of faces and every draw of augmentation."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are added up for one step."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto`: bf16 where the processor has instructions for it, else fp32."""
    compile: Literal["off", "on", "auto"] = "off"
    """`torch.compile`; `auto` times both ways on a few batches and keeps the faster, which may differ from one run to
    the next; left off, with a remark, in bf16 on a processor; docs/decisions/0005-compile.md says why it is off."""
    label_smoothing: Share = 0.1
    """Share of the target spread over all classes (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: each class's faces weigh in the loss as if they were as frequent as the others'."""
    clip_norm: float | None = Field(None, gt=0)
    """Largest norm of a step's gradient; longer ones are shortened. Not with `muon`, whose steps have one length."""
    patience: int | None = Field(None, ge=1)
    """Stop when the validation loss has not improved for so many epochs."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """The final weights are a running mean over steps; each step keeps this share of the mean."""
    coverage: Share = 0.8
    """Share of the validation faces that calibration leaves sure."""
    teachers: tuple[str, ...] = ()
    """Recipes that are trained first on all folds but one, each to answer for the faces it has not seen; or a run
    that had teachers, whose answers are used again. See training/distillation.py."""
    folds: int = Field(3, ge=2)
    """Folds of the training faces; faces of one group stay together."""
    data: DataSection = DataSection()
    targets: TargetsSection = TargetsSection()
    input: InputSection = InputSection()
    augmentation: AugmentationSection = AugmentationSection()
    optimiser: OptimiserSection = OptimiserSection()
    schedule: ScheduleSection = ScheduleSection()
    resources: ResourcesSection = ResourcesSection()

    @field_validator("compile", mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, value: object) -> object:
        return ("on" if value else "off") if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _shares_one_target(self) -> "Recipe":
        if self.teachers and self.targets.vote_share + self.targets.teacher_share > 1:
            raise ValueError("vote_share and teacher_share are shares of one target; together they are at most 1")
        return self

    @model_validator(mode="after")
    def _leaves_something_to_see(self) -> "Recipe":
        if self.augmentation.cutout_px >= self.input.view_px:
            raise ValueError("augmentation.cutout_px hides the whole face; make it smaller than input.view_px")
        return self

    @model_validator(mode="after")
    def _clips_where_it_matters(self) -> "Recipe":
        if self.clip_norm is not None and self.optimiser.name == "muon":
            raise ValueError("clip_norm does nothing to muon, whose steps have one length; leave one of them out")
        return self

    def to_yaml(self) -> str:
        """Return the recipe as YAML text, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def sha256(self) -> str:
        """Return a hash that is equal for equal recipes.

        It covers what differs from the defaults, so that a setting that is added later, with a default that changes
        nothing, leaves the hashes on older cards valid.
        """
        differing = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(differing, sort_keys=True).encode()).hexdigest()
