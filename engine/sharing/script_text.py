"""The text of the scripts that `engine.sharing.script` puts together: Python, and `str.format` fields."""

from attacks.toolkit.norms import L2, LINF
from models.ensemble import MEAN, PROBABILITIES, WORST

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

PREPARE = """x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous() / 255
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
THREADS = """torch.set_num_threads({threads})  # as in the run: sums in another order end in other digits
"""

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

'''
LITE_MADE = """
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
"""

PARTS = """
parts = []
"""
PART = """parts.append((network, {size}, *(torch.tensor(v).view(1, 3, 1, 1) for v in ({mean}, {std}))))
"""
TOGETHER_BEGINS = '''

def seen(x, size):
    """Pictures as a network of size x size pixels takes them."""
    if x.shape[-1] == size:
        return x
    return functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)


def network(x):
    """Several networks as one."""
    answers = [part((seen(x, size) - m) / s).log_softmax(1) for part, size, m, s in parts]
'''
TOGETHER = {
    MEAN: "    return torch.stack(answers).mean(0)\n\n\n",
    PROBABILITIES: "    return torch.logsumexp(torch.stack(answers), 0) - math.log(len(parts))\n\n\n",
    WORST: """    answers = torch.stack(answers)  # the least fooled answers
    own = answers[:, :, {label}]
    others = torch.cat([answers[:, :, :{label}], answers[:, :, {label} + 1 :]], 2).amax(2)
    return answers[({lead}).argmin(0), torch.arange(len(x))]


""",
}

LOOP = """{state}{names} = {values}
for step in range(LAST + 1):
    adv = adv.detach().requires_grad_()
    logits = network((adv - mean) / std)
    log_p = logits.log_softmax(1)[0]
    best = int(log_p.argmax())
    print(f"step {{step}}: {{NAMES.get(best, best)}} {{log_p[best].exp():.4f}}")
{stop}    if step == LAST:
        break
{start}{gradient}{update}
Image.fromarray((adv[0].detach() * 255).round().byte().permute(1, 2, 0).numpy()).save("adversarial.png")
"""

GRADIENT = "    (grad,) = torch.autograd.grad({loss}, adv)\n"
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
AHEAD = """    ahead = (adv - STEP_SIZE * MOMENTUM * g).detach().requires_grad_()  # where the momentum leads
    log_p = network((ahead - mean) / std).log_softmax(1)[0]
    (grad,) = torch.autograd.grad({loss}, ahead)
{mask}    g = MOMENTUM * g + grad / grad.abs().sum().clamp_min(1e-30) * x.numel()
    grad = g
"""
UNIT = '''

def size(delta):
    """The length of a change, summed in the order of the run."""
    return delta.norm(dim=-1).norm(dim=-1).norm()


def unit(delta):
    """A change in the same direction, of length 1."""
    delta = delta / delta.abs().max().clamp_min(1e-37)
    return delta / size(delta).clamp_min(1e-30)


'''
DDN = """    fooled, now = {met}, size(adv.detach() - x)
    if fooled and now < shortest:
        nearest, shortest = adv.detach(), now
    length = 0.01 + 0.99 * (1 + math.cos(math.pi * (step / STEPS))) / 2
    epsilon = min(epsilon * (1 - GAMMA if fooled else 1 + GAMMA), size(torch.maximum(x, 1 - x)))
    adv = (x + epsilon * unit(adv.detach() - x - length * unit(grad))).clamp(0, 1)
    if step == STEPS - 1 and shortest < math.inf:
        adv = nearest
"""
DEEPFOOL = """    if step == 0:
{rivals}        continue
    if {met}:
        LAST = step + 1  # once more, as the run did
        continue
{leads}    grads = [torch.autograd.grad(lead, adv, retain_graph=True)[0]{mask} for lead in leads]
    pairs = zip(leads, grads)
    lead, grad = min(pairs, key=lambda pair: pair[0].abs() / size(pair[1]))
    delta = (min(lead.abs() / size(grad), x.numel() ** 0.5) + 1e-4) * unit(grad)
"""
RIVALS = (
    "        rivals = [c for c in log_p.argsort(descending=True).tolist() if c != ORIGINAL]"
    "[: CANDIDATES - 1]\n"
)
LEADS = {
    True: """    others = logits[0].clone()
    others[TARGET] = -math.inf
    leads = [logits[0, TARGET] - others.max()]
""",
    False: "    leads = [logits[0, rival] - logits[0, ORIGINAL] for rival in rivals]\n",
}
OVER = {
    True: "    adv = (adv.detach() + (1 + OVERSHOOT) * delta).clamp(0, 1)\n",
    False: "    total = total + delta\n    adv = (x + (1 + OVERSHOOT) * total).clamp(0, 1)\n",
}
MARGIN = {True: "logits[0, TARGET] - others.max()", False: "others.max() - logits[0, ORIGINAL]"}
LACK = """    others = logits[0].clone()
    others[{label}] = -math.inf
    margin = {margin}
    (grad,) = torch.autograd.grad((CONFIDENCE - margin).clamp_min(0), adv)
{mask}    adv = search.send((margin.item(), grad))
"""
CARLINI_WAGNER = '''

def pictures():
    """Yield pictures; take the margin of each and the gradient of what it lacks (arXiv:1608.04644)."""
    edge = torch.where((x < 0.5 / 255) | (x > 1 - 0.5 / 255), 1.5, 8.0)
    begin = ((2 * x - 1) * edge.tanh()).atanh().clamp(-edge, edge)
    at_first, slope_at_first = yield x
    nearest, shortest = (x, 0.0) if at_first > CONFIDENCE else (None, math.inf)
    c, failed, succeeded = torch.tensor(INITIAL_CONST), 0.0, math.inf
    for _ in range(SEARCH_STEPS):
        w, adv, grad, success, first, second = begin, x, slope_at_first, at_first > CONFIDENCE, 0, 0
        for time in range(1, STEPS + 1):
            slope = (2 * (adv - x) + c * grad) * (0.5 * (1 - w.tanh() ** 2) / edge.tanh())
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            delta = STEP_SIZE * (first / (1 - 0.9**time))
            w = (w - delta / ((second / (1 - 0.999**time)).sqrt() + 1e-8)).clamp(-edge, edge)
            adv = torch.where(w == begin, x, (0.5 + 0.5 * w.tanh() / edge.tanh()).clamp(0, 1))
            margin, grad = yield adv
            success = success or margin > CONFIDENCE
            if margin > CONFIDENCE and (adv - x).norm() < shortest:
                nearest, shortest = adv, (adv - x).norm()
        succeeded, failed = (c, failed) if success else (succeeded, c)
        c = (failed + succeeded) / 2 if succeeded < math.inf else 10 * c
    yield adv if nearest is None else nearest


search = pictures()
'''
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

SEARCH = '''

def ask(query):
    """Answer as the run did: 32 pictures at a time, with the gradient of the objective if there is one."""
    wanted = query.objective is not None
    parts = [part.detach().requires_grad_(wanted) for part in query.x.split(32)]
    with torch.set_grad_enabled(wanted):
        logits = torch.cat([network((part - mean) / std) for part in parts])
    if not wanted:
        return {evaluation}(logits, None, None)
    loss = query.objective(logits)
    grad = torch.cat(torch.autograd.grad(loss.sum(), parts))
    return {evaluation}(logits.detach(), loss.detach(), grad)


criterion = {criterion}(torch.tensor([{label}]), {targeted})
search = {search}
query = next(search)
{streak}for step in range(LAST + 1):
    answer = ask(query)
    log_p = answer.logits{views}.log_softmax(1)
    best = int(log_p[0].argmax())
    print(f"step {{step}}: {{NAMES.get(best, best)}} {{log_p[0, best].exp():.4f}}")
{stop}    if step == LAST:
        break
    try:
        query = search.send(answer)
    except StopIteration:  # the search is over
        break

picture = (query.x[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
Image.fromarray(picture).save("adversarial.png")
'''
ALL_MET = {
    True: "bool((log_p.argmax(1) == TARGET).all())",
    False: "bool((log_p.argmax(1) != ORIGINAL).all())",
}
ALL_SURE = {
    True: "bool((log_p[:, TARGET].exp() >= AT).all())",
    False: "bool((1 - log_p[:, ORIGINAL].exp() >= AT).all())",
}
AROUND_A_SEARCH = (PREPARE, LITE, LITE_MADE, PARTS, PART, TOGETHER_BEGINS, *TOGETHER.values(), SEARCH)
"""What may stand in a script beside the source of an attack, whose names must be others."""
