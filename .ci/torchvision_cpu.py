"""Lets PyPI's torchvision, a CUDA build, import beside a CPU build of torch; a test environment's .pth file loads it.

Its compiled part cannot load there, and the import dies where it registers stand-ins for two operators of that part.
Defining those operators first is enough: the transforms, all that vLLM and transformers use, are plain Python.
"""

from __future__ import annotations

import importlib.abc
import sys


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Defines the operators when torchvision is first looked up, so that other programs start as fast as ever."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            self.library = torch.library.Library("torchvision", "FRAGMENT")  # the operators live as long as it does
            for operator in ("nms", "qnms"):
                self.library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _KEPT.append(self)
        return None


_KEPT: list[_BeforeTorchvision] = []
sys.meta_path.insert(0, _BeforeTorchvision())
