"""The text of the scripts that `engine.sharing.script` puts together: Python, and `str.format` fields."""

from attacks.toolkit.norms import L2, LINF

HEAD = '''"""{title}

Repeats a run of Foolscope without it. Reads original.png, what the network was shown, beside this file.
Needs: pip install {packages}
"""

{imports}

'''

SETTINGS = """{names}
{constants}
"""

PICTURE_BESIDE = 'picture = Image.open(Path(__file__).with_name("original.png")).convert("RGB")\n'
PICTURE_INSIDE = 'picture = Image.open(io.BytesIO(base64.b64decode(PICTURE))).convert("RGB")\n'

PREPARE = """x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ({mean}, {std}))
"""

TORCHVISION = """
network = get_model("{name}", weights="{weights}")
"""
# Sums in another order differ in their last digits, and where an answer tips that shows: so the script takes
# them as the run did.
FUSED = "network = fuse(network.eval())  # batch norm inside the convolutions, as in the run\n"
READY = "network.eval().requires_grad_(False)\n"
CHANNELS_LAST = "network.to(memory_format=torch.channels_last)\n"
THREADS = "torch.set_num_threads({threads})  # as in the run: sums in another order end in other digits\n"

LITE = '''

def conv(into, out, size, kernel=1, stride=1, groups=1):
    """A convolution padded as TensorFlow pads, for maps of size x size."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    pad = nn.ZeroPad2d((total // 2, total - total // 2) * 2)
    return nn.Sequential(pad, nn.Conv2d(into, out, kernel, stride, groups=groups, bias=False))


class Block(nn.Module):
    """An inverted residual: widen, filter each channel by itself, narrow."""

    def __init__(self, into, out, size, kernel, stride, wider):
        super().__init__()
        wide, norm = into * wider, lambda channels: nn.BatchNorm2d(channels, 1e-3)
        layers = [] if wider == 1 else [conv(into, wide, size), norm(wide), nn.ReLU6()]
        layers += [conv(wide, wide, size, kernel, stride, wide), norm(wide), nn.ReLU6()]
        self.body = nn.Sequential(*layers, conv(wide, out, math.ceil(size / stride)), norm(out))
        self.residual = stride == 1 and into == out

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def lite(size, stages):
    """EfficientNet-Lite (arXiv:1905.11946); a stage: blocks, kernel, stride, wider, channels in and out."""
    layers, size = [conv(3, 32, size, 3, 2), nn.BatchNorm2d(32, 1e-3), nn.ReLU6()], math.ceil(size / 2)
    for blocks, kernel, stride, wider, into, out in stages:
        for _ in range(blocks):
            layers.append(Block(into, out, size, kernel, stride, wider))
            into, size, stride = out, math.ceil(size / stride), 1
    layers += [conv(out, 1280, size), nn.BatchNorm2d(1280, 1e-3), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


network = lite(
    {size},
    [
{stages}
    ],
)
weights = resources.files("{package}") / "models" / "{file}"
tensors = torch.load(str(weights), weights_only=True)
# The file lists its tensors in the order in which the network uses them.
network.load_state_dict(dict(zip(network.state_dict(), tensors.values(), strict=True)))
'''

LOOP = """{names} = {values}
for step in range(LAST + 1):
    adv = adv.detach().requires_grad_()
    logits = network((adv - mean) / std)
    log_p = logits.log_softmax(1)[0]
    best = int(log_p.argmax())
    print(f"step {{step}}: {{NAMES.get(best, best)}} {{log_p[best].exp():.4f}}")
{stop}    if step == LAST:
        break
{start}    (grad,) = torch.autograd.grad({loss}, adv)
{update}
Image.fromarray((adv[0].detach() * 255).round().byte().permute(1, 2, 0).numpy()).save("adversarial.png")
"""

LOSS = {True: "-log_p[TARGET]", False: "log_p[ORIGINAL]"}
MET = {True: "best == TARGET", False: "best != ORIGINAL"}
SURE = {True: "log_p[TARGET].exp() >= AT", False: "1 - log_p[ORIGINAL].exp() >= AT"}
STOP = {
    "steps": "",
    "success": "    if step and {met}:\n        break\n",
    "probability": "    if step and {sure}:\n        break\n",
    "row": "    streak = streak + 1 if step and {met} else 0\n    if streak == TIMES:\n        break\n",
}
MASK = "    grad = grad * mask\n"
REGION = """mask = torch.zeros(1, 1, *x.shape[2:])
mask[..., {top}:{bottom}, {left}:{right}] = 1
"""
MOMENTUM = """    g = MOMENTUM * g + grad / grad.abs().sum().clamp_min(1e-30)
    grad = g
"""
STEP = {
    LINF.name: "    adv = (adv.detach() - STEP_SIZE * grad.sign()).clamp(0, 1)\n",
    L2.name: """    grad = grad / grad.abs().max().clamp_min(1e-37)
    adv = (adv.detach() - STEP_SIZE * grad / grad.norm().clamp_min(1e-30)).clamp(0, 1)
""",
}
PROJECT = {
    LINF.name: "    adv = x + (adv - x).clamp(-EPSILON, EPSILON)\n",
    L2.name: "    adv = x + (adv - x) * (EPSILON / (adv - x).norm().clamp_min(1e-30)).clamp_max(1)\n",
}
FGSM = "    adv = (adv.detach() - EPSILON * grad.sign()).clamp(0, 1)\n"
START = {
    LINF.name: """    if step == 0:  # a random start within the budget
        rng = torch.Generator().manual_seed(SEED)
        adv = (x + EPSILON * (2 * torch.rand(x.shape, generator=rng) - 1)).clamp(0, 1)
{project}        continue
""",
    L2.name: """    if step == 0:  # a random start within the budget
        rng = torch.Generator().manual_seed(SEED)
        way = torch.randn(x.shape, generator=rng)
        radius = EPSILON * torch.rand(1, generator=rng) ** (1 / x.numel())
        adv = (x + radius * way / way.norm()).clamp(0, 1)
{project}        continue
""",
}
