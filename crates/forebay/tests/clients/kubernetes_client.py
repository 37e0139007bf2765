"""The `kubernetes` package against the embedded API: what a user does with pods, Deployments and what they are made of.

usage: kubernetes_client.py KUBECONFIG NAMESPACE
"""

import sys
import time

from fixture import seen
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.informer import ADDED, DELETED, MODIFIED, SharedInformer
from kubernetes.stream import portforward, stream

LABEL = "made-by=python"
PORT = 8000


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen")


def is_gone(read, name, namespace):
    try:
        read(name, namespace)
    except ApiException as error:
        return error.status == 404
    return False


def labelled(kind, name, **fields):
    metadata = {"name": name, "labels": {"made-by": "python"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def maps_and_watches(core, namespace):
    """Creating, the three patches, lists in pieces, a watch from a list, an informer."""
    seen_by_informer = []
    informer = SharedInformer(
        list_func=core.list_namespaced_config_map, namespace=namespace, label_selector=LABEL
    )
    for kind in (ADDED, MODIFIED, DELETED):
        informer.add_event_handler(kind, lambda it, kind=kind: seen_by_informer.append((kind, it.metadata.name)))
    informer.start()
    wait_for("the informer's list", lambda: informer._resource_version)
    version = core.list_namespaced_config_map(namespace).metadata.resource_version

    for name in ("a", "b", "c"):
        core.create_namespaced_config_map(namespace, labelled("ConfigMap", name, data={"key": "1"}))
    try:
        core.create_namespaced_config_map(namespace, labelled("ConfigMap", "a"))
        raise AssertionError("made twice")
    except ApiException as error:
        assert error.status == 409, error
        assert error.body.endswith('"details":{"name":"a","kind":"configmaps"},"code":409}\n'), error.body
    patched = core.patch_namespaced_config_map(
        "a", namespace, [{"op": "replace", "path": "/data/key", "value": "2"}]
    )
    assert patched.data == {"key": "2"}, patched
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"other": "3"}})
    assert patched.data == {"key": "2", "other": "3"}, patched

    piece = core.list_namespaced_config_map(namespace, label_selector=LABEL, limit=2)
    rest = core.list_namespaced_config_map(
        namespace, label_selector=LABEL, limit=2, _continue=piece.metadata._continue
    )
    names = [it.metadata.name for it in piece.items + rest.items]
    assert names == ["a", "b", "c"] and not rest.metadata._continue, names

    core.delete_collection_namespaced_config_map(namespace, label_selector=LABEL)
    events = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace=namespace,
        label_selector=LABEL,
        resource_version=version,
        timeout_seconds=2,
    )
    types = [event["type"] for event in events]
    assert types == ["ADDED"] * 3 + ["MODIFIED"] * 2 + ["DELETED"] * 3, types
    wait_for("the informer's last event", lambda: (DELETED, "c") in seen_by_informer)
    assert (MODIFIED, "a") in seen_by_informer and (ADDED, "b") in seen_by_informer, seen_by_informer
    informer.stop()
    seen("ConfigMaps are made, patched, listed in pieces, watched and deleted")


def pods(core, namespace):
    """Logs, commands and connections."""
    words = f"echo one; echo two; exec python3 -m http.server {PORT}"
    containers = [{"name": "main", "image": "busybox", "args": ["/bin/sh", "-c", words]}]
    made = core.create_namespaced_pod(namespace, labelled("Pod", "web", spec={"containers": containers}))
    assert made.status.phase == "Pending", made.status
    pod = lambda: core.read_namespaced_pod("web", namespace)
    wait_for("the pod's start", lambda: pod().status.phase == "Running")
    log = lambda: core.read_namespaced_pod_log("web", namespace)
    wait_for("the pod's words", lambda: log().startswith("one\ntwo\n"))
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "web", namespace)
    assert next(lines) == "one"
    lines.close()

    run = lambda command, **options: stream(
        core.connect_get_namespaced_pod_exec, "web", namespace, command=command, stdout=True, **options
    )
    assert run(["echo", "hello"], stderr=False, stdin=False, tty=False) == "hello\n"
    ended = run(["sh", "-c", "exit 3"], stderr=True, stdin=False, tty=False, _preload_content=False)
    ended.run_forever(timeout=10)
    assert ended.returncode == 3, ended.returncode
    shell = run(["sh"], stderr=True, stdin=True, tty=False, _preload_content=False)
    shell.write_stdin("echo to stdout; echo to stderr >&2\n")
    assert shell.readline_stdout(timeout=10) == "to stdout"
    assert shell.readline_stderr(timeout=10) == "to stderr"
    shell.write_stdin("exit 0\n")
    shell.run_forever(timeout=10)
    assert shell.returncode == 0, shell.returncode

    def answers():
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", namespace, ports=str(PORT))
        socket = forward.socket(PORT)
        socket.setblocking(True)
        socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := socket.recv(4096):
            answer += piece
        socket.close()
        return answer.startswith(b"HTTP/1.0 200")

    wait_for("an answer of the forwarded port", answers)
    core.delete_namespaced_pod("web", namespace, grace_period_seconds=1)
    wait_for("the pod's end", lambda: is_gone(core.read_namespaced_pod, "web", namespace))
    seen("a pod is made, read, entered, reached and deleted")


def deployments(api, namespace):
    """Rollouts, scales, and objects of whatever kind by their names."""
    apps = client.AppsV1Api(api)
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "busybox", "command": ["sleep", "600"]}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    body = {**labelled("Deployment", "web", spec=spec), "apiVersion": "apps/v1"}
    utils.create_from_dict(api, body, namespace=namespace)
    utils.create_from_dict(api, body, namespace=namespace, apply=True)
    deployment = lambda: apps.read_namespaced_deployment("web", namespace)
    wait_for("the rollout", lambda: deployment().status.ready_replicas == 2)
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    wait_for("the scale", lambda: deployment().status.replicas == 1)
    by_name = dynamic.DynamicClient(api).resources.get(api_version="apps/v1", kind="Deployment")
    assert [it.metadata.name for it in by_name.get(namespace=namespace).items] == ["web"]
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    wait_for("the end of all", lambda: is_gone(apps.read_namespaced_deployment, "web", namespace))
    seen("a Deployment is made, scaled, found by its kind and deleted")


def main(kubeconfig, namespace):
    config.load_kube_config(kubeconfig)
    api = client.ApiClient()
    core = client.CoreV1Api(api)
    maps_and_watches(core, namespace)
    pods(core, namespace)
    deployments(api, namespace)


if __name__ == "__main__":
    main(*sys.argv[1:])
