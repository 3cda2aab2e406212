"""A Keras model as a pure function of weights and rows: what models and inference share."""

# Written by tools/write_doors.py.

from keras_priors.functional.as_array import as_array as as_array
from keras_priors.functional.carry_priors import carry_priors as carry_priors
from keras_priors.functional.check_activations import check_activations as check_activations
from keras_priors.functional.check_built import check_built as check_built
from keras_priors.functional.check_finite_weights import (
    check_finite_weights as check_finite_weights,
)
from keras_priors.functional.check_inputs import check_inputs as check_inputs
from keras_priors.functional.check_rows import check_rows as check_rows
from keras_priors.functional.clone import clone as clone
from keras_priors.functional.clone import copy_variables as copy_variables
from keras_priors.functional.clone import is_cloneable as is_cloneable
from keras_priors.functional.clone import own as own
from keras_priors.functional.copy_of import copy_of as copy_of
from keras_priors.functional.count_observations import count_observations as count_observations
from keras_priors.functional.count_observations import is_a as is_a
from keras_priors.functional.forward import draws_at_seeds as draws_at_seeds
from keras_priors.functional.forward import forward_of as forward_of
from keras_priors.functional.forward import random_posteriors as random_posteriors
from keras_priors.functional.joint_priors import JointPrior as JointPrior
from keras_priors.functional.joint_priors import bind_joint_priors as bind_joint_priors
from keras_priors.functional.joint_priors import joint_priors as joint_priors
from keras_priors.functional.likelihood_of import likelihood_of as likelihood_of
from keras_priors.functional.lora import adaptable_layers as adaptable_layers
from keras_priors.functional.lora import adapted_layers as adapted_layers
from keras_priors.functional.lora import carry_lora as carry_lora
from keras_priors.functional.lora import factors_of as factors_of
from keras_priors.functional.lora import has_lora as has_lora
from keras_priors.functional.lora import warn_of_lora_at_zero as warn_of_lora_at_zero
from keras_priors.functional.lost_prior import lost_prior as lost_prior
from keras_priors.functional.moments import moments as moments
from keras_priors.functional.moving_statistics import statistics_of as statistics_of
from keras_priors.functional.observations import Observations as Observations
from keras_priors.functional.output_likelihoods import Likelihoods as Likelihoods
from keras_priors.functional.output_likelihoods import given_likelihoods as given_likelihoods
from keras_priors.functional.output_shapes import output_shapes as output_shapes
from keras_priors.functional.output_shapes import running_fit as running_fit
from keras_priors.functional.outputs_at_draws import outputs_at as outputs_at
from keras_priors.functional.outputs_at_draws import outputs_at_draws as outputs_at_draws
from keras_priors.functional.positions import Positions as Positions
from keras_priors.functional.pure_outputs import PureOutputs as PureOutputs
from keras_priors.functional.results import Results as Results
from keras_priors.functional.row_blocks import bucket as bucket
from keras_priors.functional.row_blocks import chunk_rows as chunk_rows
from keras_priors.functional.row_blocks import draws_per_call as draws_per_call
from keras_priors.functional.row_blocks import whole_parts as whole_parts
from keras_priors.functional.rows import Rows as Rows
from keras_priors.functional.scaled_weight import ScaledWeight as ScaledWeight
from keras_priors.functional.scaled_weight import scale_of as scale_of
from keras_priors.functional.steps_per_row import Steps as Steps
from keras_priors.functional.steps_per_row import steps_per_row as steps_per_row
from keras_priors.functional.traversal import all_models as all_models
from keras_priors.functional.traversal import find_owners as find_owners
from keras_priors.functional.warn_flat import warn_flat as warn_flat
from keras_priors.functional.weights import Weight as Weight
from keras_priors.functional.weights import find_weights as find_weights
