"""Landscapes with known answers, and readers of small data files. The zoo never trains."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from thalweg.core.objective import Objective
from thalweg.errors import InputError, SubjectError, ThalwegError
from thalweg.zoo.autoencoder import autoencoder_point as autoencoder_point
from thalweg.zoo.autoencoder import linear_autoencoder as linear_autoencoder
from thalweg.zoo.convolutional import densenet as densenet
from thalweg.zoo.convolutional import resnet as resnet
from thalweg.zoo.factorisation import asymmetric_factorisation as asymmetric_factorisation
from thalweg.zoo.factorisation import matrix_factorisation as matrix_factorisation
from thalweg.zoo.facts import CriticalPoint as CriticalPoint
from thalweg.zoo.facts import Facts as Facts
from thalweg.zoo.functions import scalar_chain as scalar_chain
from thalweg.zoo.functions import scalar_factorisation as scalar_factorisation
from thalweg.zoo.functions import single_neuron as single_neuron
from thalweg.zoo.gated import gated_linear as gated_linear
from thalweg.zoo.images import cifar10 as cifar10
from thalweg.zoo.images import cifar100 as cifar100
from thalweg.zoo.images import digits as digits
from thalweg.zoo.images import fashion_mnist as fashion_mnist
from thalweg.zoo.images import mnist as mnist
from thalweg.zoo.octopus import octopus as octopus
from thalweg.zoo.phase import phase_retrieval as phase_retrieval
from thalweg.zoo.quadratic_network import quadratic_network as quadratic_network
from thalweg.zoo.random_field import random_field as random_field
from thalweg.zoo.regression import deep_linear as deep_linear
from thalweg.zoo.regression import polynomial as polynomial
from thalweg.zoo.regression import wide_tanh as wide_tanh
from thalweg.zoo.saddles import cubic_saddle as cubic_saddle
from thalweg.zoo.saddles import monkey_saddle as monkey_saddle
from thalweg.zoo.saddles import quartic_minimum as quartic_minimum
from thalweg.zoo.saddles import strict_saddle as strict_saddle
from thalweg.zoo.saddles import triple_product as triple_product
from thalweg.zoo.safran_shamir import safran_shamir as safran_shamir
from thalweg.zoo.sensing import matrix_completion as matrix_completion
from thalweg.zoo.sensing import matrix_sensing as matrix_sensing
from thalweg.zoo.spin import ising_spin as ising_spin
from thalweg.zoo.spin import spherical_spin as spherical_spin
from thalweg.zoo.tensor import orthogonal_tensor as orthogonal_tensor
from thalweg.zoo.wells import double_well as double_well
from thalweg.zoo.wells import planted_minimum as planted_minimum
from thalweg.zoo.wells import stiffening_valley as stiffening_valley

SUBJECTS: Mapping[str, Callable[..., Objective]] = {
    fn.__name__: fn
    for fn in (
        digits,
        polynomial,
        deep_linear,
        wide_tanh,
        mnist,
        fashion_mnist,
        cifar10,
        cifar100,
        resnet,
        densenet,
        scalar_factorisation,
        scalar_chain,
        single_neuron,
        linear_autoencoder,
        matrix_factorisation,
        asymmetric_factorisation,
        matrix_sensing,
        matrix_completion,
        phase_retrieval,
        quadratic_network,
        safran_shamir,
        orthogonal_tensor,
        spherical_spin,
        ising_spin,
        random_field,
        gated_linear,
        octopus,
        strict_saddle,
        monkey_saddle,
        cubic_saddle,
        triple_product,
        quartic_minimum,
        double_well,
        stiffening_valley,
        planted_minimum,
    )
}


def build(name: str, **parameters: Any) -> Objective:
    """The zoo's subject of that name; parameters it does not take are refused, except ``seed``.

    Raises
    ------
    SubjectError
        If the name is unknown; the nearest names are given.
    InputError
        If a parameter is unknown or of the wrong kind; and whatever the subject itself refuses.
    """
    if name not in SUBJECTS:
        near = difflib.get_close_matches(name, SUBJECTS, n=2)
        said = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(SUBJECTS)}."
        raise SubjectError(f"no zoo subject is called {name!r}: {said} Your own model is given as path.py:factory")
    fn = SUBJECTS[name]
    known = inspect.signature(fn).parameters
    given = {key: value for key, value in parameters.items() if key in known or key not in ("seed", "dtype")}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{name} has no parameter {unknown[0]!r}: it takes {', '.join(known)}")
    try:
        return fn(**given)
    except ThalwegError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be built with {given}: {error}") from error
