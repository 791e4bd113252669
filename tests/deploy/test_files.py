"""The examples in ``deploy`` and ``compose.yaml``, each read by a validator of what it is for."""

from __future__ import annotations

import os
import pkgutil
import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from settings import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = "1.29"
OTHERS = ("ray.io/v1",)
"""What Kubernetes itself does not know."""


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


def ray_service() -> dict[str, Any]:
    (service,) = [one for one in documents() if one["kind"] == "RayService"]
    return service


def run(*command: str, **environment: str) -> str:
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compose_reads_its_file() -> None:
    whole = yaml.safe_load(run("docker-compose", "config", DATABASE_PASSWORD="x y", ENGINES="3"))
    services = whole["services"]
    assert set(services) == {"proxy", "pages-1", "pages-2", "engine", "database"}
    assert services["pages-1"]["environment"]["FOOLSCOPE_ENGINE"] == "http://engine:8000"
    assert "--replicas 3" in services["engine"]["command"]
    for name in ("pages-1", "pages-2"):
        assert "ports" not in services[name], "people come by the proxy alone"
    for service in services.values():
        extras = service.get("build", {}).get("args", {}).get("EXTRAS", "")
        assert not extras or (ROOT / extras).is_file()


def test_caddy_reads_its_file() -> None:
    file = str(DEPLOY / "Caddyfile")
    run("caddy", "validate", "--adapter", "caddyfile", "--config", file, SITE=":80", PAGES="a:1 b:2")


def test_kubernetes_knows_what_it_is_told() -> None:
    kinds = [one["kind"] for one in documents()]
    assert kinds == ["RayService", "Deployment", "Service", "Ingress"]
    for one in documents():
        if one["apiVersion"] not in OTHERS:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    broken = documents()[1]
    broken["spec"]["template"]["spec"]["containers"][0]["port"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_the_pods_of_ray_are_pods() -> None:
    cluster = ray_service()["spec"]["rayClusterConfig"]
    templates = [cluster["headGroupSpec"]["template"]]
    templates += [group["template"] for group in cluster["workerGroupSpecs"]]
    for template in templates:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_probes_and_services_are_there() -> None:
    _, deployment, service, ingress = documents()
    (pages,) = deployment["spec"]["template"]["spec"]["containers"]
    addresses = {pages[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert addresses == {
        "/foolscope/ready?parts=loop",
        "/foolscope/ready?parts=loop,model",
        "/_stcore/health",
    }
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    (rule,) = ingress["spec"]["rules"]
    everything = rule["http"]["paths"][-1]
    assert everything["path"] == "/"
    assert everything["backend"]["service"]["name"] == service["metadata"]["name"]
    engine = next(one["value"] for one in pages["env"] if one["name"] == "FOOLSCOPE_ENGINE")
    assert engine == f"http://{ray_service()['metadata']['name']}-serve-svc:8000"


def test_ray_serve_knows_what_it_is_told() -> None:
    schema = pytest.importorskip("ray.serve.schema", reason="could not import ray")
    plain = yaml.safe_load(ray_service()["spec"]["serveConfigV2"])
    (application,) = schema.ServeDeploySchema.model_validate(plain).applications
    assert application.args["least"] <= application.args["most"]
    assert pkgutil.resolve_name(application.import_path)(application.args)


def test_ray_knows_its_cluster() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util", reason="could not import ray")
    cluster = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text(encoding="utf-8"))
    filled = util.prepare_config(cluster)
    util.validate_config(filled)
    with pytest.raises(Exception, match="cluster_nam"):
        util.validate_config({**filled, "cluster_nam": "typing error"})
