"""The verbs of the seed against a real ops center; tests/it/sdk.rs starts it and says where it is.

Not here: what an engine answers, which is in test_engine.py.
"""

import contextlib
import io
import json
import os
import unittest
from pathlib import Path

import potoroo

MODELS = Path(os.environ["POTOROO_TEST_MODELS"])


def published(pipeline: potoroo.Pipeline) -> potoroo.PipelinePublish:
    with contextlib.redirect_stdout(io.StringIO()):
        return pipeline.publish(pause_seconds=0.1)


class Center(unittest.TestCase):
    def setUp(self) -> None:
        self.client = potoroo.Client()  # by POTOROO_OPS_URL and POTOROO_OPS_TOKEN

    def test_a_model_becomes_an_edge(self) -> None:
        model = self.client.upload_model("fraud-mlp", MODELS / "fraud.onnx")
        self.assertEqual(model.status(), "ready")
        pipeline = self.client.build_pipeline("fraud").add_model_step(model)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            publish = pipeline.publish(pause_seconds=0.1)
        self.assertRegex(
            said.getvalue(),
            r"^Waiting for pipeline publish\.\.\. It may take up to 600 sec\.\n"
            r"Pipeline is publishing\.* Published\.\n$",
        )
        self.assertEqual(publish.status, "Published")
        self.assertTrue(publish.pipeline_url.endswith(f"/fraud:{publish.pipeline_version_name}"))
        self.assertEqual(publish.helm_chart_version, f"0.0.1-{publish.pipeline_version_name}")
        self.assertIn(publish.id, [one.id for one in self.client.list_publishes()])
        self.assertEqual([one.id for one in pipeline.publishes()], [publish.id])

        added = publish.add_edge("till-7", tags=["shop"])
        self.assertTrue(added.docker_run_variables["EDGE_BUNDLE"])
        edges = {one.name: one.tags for one in self.client.list_edges()}
        self.assertEqual(edges["till-7"], ["shop"])
        self.assertEqual([one.name for one in pipeline.list_edges()], ["till-7"])
        self.assertEqual([one.name for one in publish.list_edges()], ["till-7"])
        self.assertEqual(publish.refresh().docker_run_variables, {}, "the bundle is shown once")
        with self.assertRaises(potoroo.ApiError) as taken:
            publish.add_edge("till-7")
        self.assertEqual(taken.exception.status, 409)
        told = {"pipeline_url": added.pipeline_url, **added.pull_credentials}
        Path(os.environ["POTOROO_TEST_PUBLISHED"]).write_text(json.dumps(told))

        publish.add_edge("till-8")
        publish.remove_edge("till-8")
        self.assertEqual([one.name for one in publish.list_edges()], ["till-7"])

    def test_a_rollout_is_started_watched_and_ended(self) -> None:
        model = self.client.upload_model("rolled", MODELS / "fraud.onnx")
        pipeline = self.client.build_pipeline("rolled").add_model_step(model)
        old, new = published(pipeline), published(pipeline)
        for name in ("rolled-1", "rolled-2"):
            old.add_edge(name, tags=["rolled"])
        rollout = self.client.start_rollout(new, tag="rolled", waves=[1, "50%"], failures_max=1)
        self.assertEqual((rollout.state, rollout.wave, rollout.waves), ("running", 1, 2))
        self.assertEqual([one.name for one in rollout.edges], ["rolled-1", "rolled-2"])
        self.assertEqual(sum(rollout.counts.values()), 2)
        self.assertIn(rollout.id, [one.id for one in self.client.list_rollouts()])
        self.assertEqual(rollout.pause().state, "paused")
        self.assertEqual(rollout.resume().state, "running")
        self.assertEqual(self.client.get_rollout(rollout.id).publish_id, new.id)
        self.assertEqual(rollout.abort(send_back=True).refresh().state, "aborted")
        with self.assertRaises(potoroo.ApiError) as over:
            rollout.resume()
        self.assertEqual(over.exception.status, 409)
        with self.assertRaises(potoroo.ApiError) as nobody:
            self.client.start_rollout(new.id, tag="nobody")
        self.assertEqual(nobody.exception.status, 409)

    def test_what_is_there_is_found_again(self) -> None:
        model = self.client.upload_model("found", MODELS / "fraud.onnx")
        self.assertIn("found", [one.name() for one in self.client.list_models()])
        self.assertEqual(self.client.get_model("found").version(), model.version())
        pipeline = self.client.build_pipeline("found").add_model_step(model)
        first = pipeline.create_version()
        second = pipeline.create_version()
        self.assertEqual([one.name() for one in pipeline.versions()][:1], [second.name()])
        self.assertEqual(first.definition()["steps"], second.definition()["steps"])
        self.assertIn("found", [one.name() for one in self.client.list_pipelines()])
        again = self.client.get_pipeline("found")
        self.assertEqual(again.id(), pipeline.id())
        with self.assertRaises(LookupError):
            self.client.get_pipeline("none")
        with self.assertRaises(LookupError):
            self.client.get_model("none")

    def test_steps_of_every_kind_are_saved(self) -> None:
        one = self.client.upload_model("one", MODELS / "fraud.onnx")
        other = self.client.upload_model("other", MODELS / "fraud.onnx")
        kinds = {
            "shadow": lambda it: it.add_shadow_deploy(one, [other]),
            "random": lambda it: it.add_random_split([(2, one), (1, other)]),
            "key": lambda it: it.add_key_split(one, "country", {"se": other}),
            "checked": lambda it: it.add_model_step(one).add_validation(
                "low", "one.outputs[0][0] < 0.9"
            ),
            "anomaly": lambda it: it.add_model_step(one).add_validations(
                high="out.fraud_probability[0] > 0.9"
            ),
        }
        for name, add in kinds.items():
            with self.subTest(name):
                version = add(self.client.build_pipeline(name)).create_version()
                self.assertTrue(version.definition()["steps"])

    def test_a_model_that_does_not_load_is_refused_with_its_operators(self) -> None:
        with self.assertRaises(potoroo.ApiError) as refused:
            self.client.upload_model("broken", MODELS / "broken/unknown_operator.onnx")
        self.assertEqual(refused.exception.status, 422)
        self.assertIn("FluxCapacitor", str(refused.exception))

    def test_workspaces_are_made_and_worked_in(self) -> None:
        made = self.client.get_workspace("of-python", create_if_not_exist=True)
        self.client.set_current_workspace(made)
        self.assertEqual(self.client.list_models(), [])
        self.assertEqual(len(made.list_users()), 1)
        self.assertEqual(self.client.get_workspace("of-python").id(), made.id())

    def test_a_password_gives_a_session_and_a_wrong_token_none(self) -> None:
        url = os.environ["POTOROO_OPS_URL"]
        os_token = os.environ.pop("POTOROO_OPS_TOKEN")
        try:
            client = potoroo.Client(
                url,
                username=os.environ["POTOROO_TEST_EMAIL"],
                password=os.environ["POTOROO_TEST_PASSWORD"],
            )
        finally:
            os.environ["POTOROO_OPS_TOKEN"] = os_token
        self.assertTrue(client.list_workspaces())
        with self.assertRaises(potoroo.ApiError) as refused:
            potoroo.Client(url, token="ptr_wrong").list_workspaces()
        self.assertEqual(refused.exception.status, 401)
        with self.assertRaises(potoroo.UnreachableError):
            potoroo.Client("http://127.0.0.1:1", token="any").list_workspaces()


if __name__ == "__main__":
    unittest.main()
