"""A backbone: the running mean of a history in which every item fades by a learned share with each later one."""

import torch

from eimf_core.models.backbone import Backbone

EIMF_INTERFACE = 2


class Fading(Backbone):
    single = True

    def __init__(self, *given):
        super().__init__(*given)
        self.rate = torch.nn.Parameter(torch.zeros(()))

    def encode(self, vectors, mask, side):
        places = torch.arange(mask.shape[1], device=mask.device)
        age = (places[:, None] - places).to(vectors.dtype)
        weights = torch.exp(-torch.nn.functional.softplus(self.rate) * age.clamp(min=0)) * (age >= 0)
        return weights @ vectors
