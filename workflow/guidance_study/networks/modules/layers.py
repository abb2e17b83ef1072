"""What the UNets share beside their convolutions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Float32GroupNorm(nn.GroupNorm):
    """Group normalisation computed in float32 whatever the activations' precision, which the result keeps."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)
        return y.to(x.dtype)
