"""Getting down: one batched loop and its rules."""

from thalweg.descent.adaptive import Adam as Adam
from thalweg.descent.adaptive import RMSProp as RMSProp
from thalweg.descent.gradient import GradientDescent as GradientDescent
from thalweg.descent.gradient import Momentum as Momentum
from thalweg.descent.loop import Descent as Descent
from thalweg.descent.rule import Info as Info
from thalweg.descent.rule import Rule as Rule
from thalweg.descent.rule import State as State
from thalweg.descent.schedule import Scheduled as Scheduled
from thalweg.descent.steered import Steered as Steered

RULES: dict[str, type[Rule]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "rmsprop": RMSProp,
    "adam": Adam,
}
"""Every rule by the name the command line knows it by."""
