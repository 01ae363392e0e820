"""A backbone: the running mean of a history in which every item fades by a learned share with each later one."""

import torch
from torch import nn

from eimf_core.models.backbone import Backbone
from eimf_core.models.parts import Encoder

EIMF_INTERFACE = 1


class FadingMean(Encoder):
    def __init__(self, shape, hyperparameters, generator):
        super().__init__(shape, hyperparameters, generator)
        self.rate = nn.Parameter(torch.zeros(()))

    def forward(self, vectors, mask, side):
        places = torch.arange(mask.shape[1], device=mask.device)
        age = (places[:, None] - places).to(vectors.dtype)
        weights = torch.exp(-nn.functional.softplus(self.rate) * age.clamp(min=0)) * (age >= 0)
        return weights @ vectors


class Fading(Backbone):
    encoder_type = FadingMean
    single = True
