"""Networks without data, initialised from a seed without touching torch's global generator.

Builders return plain torch modules that torch.fx traces, torch.func.vmap batches over parameters in eval mode,
and autograd differentiates twice.

Parameters with 3 input channels and 10 classes (``norm="batch"``):

======================================  =========  ==============================
``resnet(8)``                              75,290
``resnet(8, shortcut="projection")``       78,042
``resnet(20)``                            269,722  0.27 M in He et al. 2016
``resnet(56)``                            853,018  0.85 M in He et al. 2016
``resnet(110)``                         1,727,962  1.7 M in He et al. 2016
``densenet(100, growth=12)``              769,162  0.8 M in Huang et al. 2017
======================================  =========  ==============================
"""

from __future__ import annotations

from thalweg.zoo.networks.attention import encoder as encoder
from thalweg.zoo.networks.dense import densenet as densenet
from thalweg.zoo.networks.layers import ACTIVATIONS as ACTIVATIONS
from thalweg.zoo.networks.perceptron import mlp as mlp
from thalweg.zoo.networks.recurrent import lstm as lstm
from thalweg.zoo.networks.residual import resnet as resnet
