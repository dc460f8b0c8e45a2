"""torchvision's ResNet-50 in PyTorch, as its users train it; in a Python that has both.

    python torch_worker.py '{"batch": 8, "image_size": 224, "classes": 1000, "compile": false, ...}'

Memory format channels_last, SGD with Nesterov's momentum, weight decay on kernels alone, batches in
memory. `answering` says what it prints.
"""

import json
import sys

import torch
import torchvision
from answering import answer, cores, peak_of_process, timed
from torch.utils.flop_counter import FlopCounterMode

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_steps(batch, image_size, classes, learning_rate, momentum, weight_decay, compile):
    """(run(count) -> seconds (wall, cpu), FLOPs() of a step)."""
    network = torchvision.models.resnet50(num_classes=classes)
    network = network.to(DEVICE, memory_format=torch.channels_last)
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": kernels, "weight_decay": weight_decay}, {"params": others}],
        lr=learning_rate,
        momentum=momentum,
        nesterov=True,
    )
    generator = torch.Generator().manual_seed(0)
    batches = [
        (
            torch.randn(batch, 3, image_size, image_size, generator=generator).to(
                DEVICE, memory_format=torch.channels_last
            ),
            torch.randint(classes, (batch,), generator=generator).to(DEVICE),
        )
        for _ in range(2)
    ]
    network.train()
    forward = torch.compile(network) if compile else network

    def step(number, forward):
        images, labels = batches[number % 2]
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    def steps(count):
        for number in range(count):
            loss = step(number, forward)
        return loss.item()  # waits for the device

    def flops():
        with FlopCounterMode(display=False) as counter:
            step(0, network)
        return counter.get_total_flops()

    return lambda count: timed(lambda: steps(count)), flops


def describe():
    """The device, and versions of what computes."""
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else cores()
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    return {"device": device, "versions": versions}


def peak_mib():
    """The most memory until now: of the GPU where there is one, else of the process."""
    return torch.cuda.max_memory_allocated() / 2**20 if DEVICE == "cuda" else peak_of_process()


if __name__ == "__main__":
    answer(lambda: make_steps(**json.loads(sys.argv[1])), describe, peak_mib)
