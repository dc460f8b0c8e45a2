"""The parts of `tpu_check`, with any build of TensorFlow; the whole of it is in test_tpu_check.py.

HLO is made for the CPU here: what the lint reads is the same there.
"""

import json
import stat
import subprocess

import numpy as np
import pytest
import small_data
import tensorflow as tf
from faults import planted_defects

from gala_tf import losses
from gala_tf.data import clickmaps, dataset_info, eval_pipeline, input_pipeline
from gala_tf.distribution.strategy import make_strategy
from gala_tf.tpu_checking import (
    compiling,
    environment,
    hlo,
    lint,
    lowering,
    pure_step,
    steps,
    summary,
    verdicts,
)
from gala_tf.training import session as sessions


def replay(pure, values, arguments):
    """(outputs, new values), computed in a graph."""
    return tf.function(pure, autograph=False)(values, arguments)


def test_reads_see_the_assignments_before_them():
    a, b, untouched = tf.Variable(2.0), tf.Variable([1.0, 4.0]), tf.Variable(9.0)
    constant = tf.constant(10.0)  # captured

    @tf.function
    def step(x, unused):
        before = a.read_value()
        a.assign_add(x)
        b.assign_sub([1.0, 1.0])
        b.assign(b * a)
        a.assign(a + constant)
        return before, b.read_value(), a + untouched, x

    specs = tf.TensorSpec([], tf.float32), tf.TensorSpec([3], tf.int32)
    function = step.get_concrete_function(*specs)
    pure = pure_step.PureStep(function)
    values = [tf.convert_to_tensor(v) for v in pure.variables]
    outputs, values = replay(pure, values, [tf.constant(0.5), tf.zeros([3], tf.int32)])
    assert [x.numpy().tolist() for x in outputs] == [2.0, [0.0, 7.5], 21.5, 0.5]
    by_variable = dict(zip([id(v) for v in pure.variables], values, strict=True))
    assert by_variable[id(a)] == 12.5
    assert by_variable[id(b)].numpy().tolist() == [0.0, 7.5]
    assert by_variable[id(untouched)] == 9.0
    assert a.numpy() == 2.0, "a pure step changes nothing"
    assert [s.shape.as_list() for s in pure.arguments] == [[], [3]]


def test_only_what_runs_is_kept():
    """Not the gradient with respect to an image, which nobody asked for; but what has effects."""
    kernel = tf.Variable(tf.ones([3, 3, 3, 8]))

    @tf.function
    def step(image):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.nn.conv2d(image + 1.0, kernel, 1, "SAME"))
        kernel.assign_sub(tape.gradient(loss, kernel))
        tf.print("loss", loss)
        return loss

    traced = step.get_concrete_function(tf.TensorSpec([1, 4, 4, 3], tf.float32))
    assert {o.type for o in traced.graph.get_operations()} >= {"Conv2DBackpropInput", "PrintV2"}
    pure = tf.function(pure_step.PureStep(traced), autograph=False).get_concrete_function(
        [tf.TensorSpec([3, 3, 3, 8])], [tf.TensorSpec([1, 4, 4, 3])]
    )
    kinds = {o.type for o in pure.graph.get_operations()}
    assert kinds >= {"Conv2DBackpropFilter", "PrintV2", "Sub"}
    assert "Conv2DBackpropInput" not in kinds


def test_what_has_no_pure_form_is_named():
    v = tf.Variable(1.0)

    @tf.function
    def loop(n):
        for _ in tf.range(n):
            v.assign_add(1.0)
        return v.read_value()

    with pytest.raises(pure_step.NotPureError, match=r"While \(while\) takes a variable"):
        pure_step.PureStep(loop.get_concrete_function(tf.TensorSpec([], tf.int32)))
    keys = tf.constant([1, 2])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, keys), 0)
    lookup = tf.function(lambda x: table.lookup(x) + tf.cast(v, tf.int32))
    with pytest.raises(pure_step.NotPureError, match="a resource that is no tf.Variable"):
        pure_step.PureStep(lookup.get_concrete_function(tf.TensorSpec([2], tf.int32)))


SMALLEST = dict(stage_blocks=(1,), stage_widths=(8,), map_resize="bilinear")


def random_batch(function):
    (specs,), _ = function.structured_input_signature
    assert sorted(specs) == ["clickmap", "has_clickmap", "image", "label", "mirrored"]
    rng = np.random.default_rng(0)
    return {
        name: tf.cast(rng.integers(0, 2 if name == "label" else 200, spec.shape), spec.dtype)
        for name, spec in specs.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        dict(map_target="attention"),
        dict(map_target="activity"),
        dict(map_target="activity", attention="none"),  # three gradients would meet in a volume
    ],
)
def test_the_training_step_replays_bit_for_bit(tmp_path, changes):
    """Twice from the same values: once on variables, once without. No data set is needed."""
    run_config = small_data.small_config("", tmp_path, **{**SMALLEST, **changes})
    traced = steps.trace("train", run_config, 1, 4)
    pure = pure_step.PureStep(traced.function)
    batch = random_batch(traced.function)
    started = values = [tf.convert_to_tensor(v) for v in pure.variables]
    for _ in range(2):
        (vector,), values = replay(pure, values, tf.nest.flatten(batch))
        np.testing.assert_array_equal(vector, traced.function(batch))
    for variable, value in zip(pure.variables, values, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.name)
    unchanged = [np.array_equal(a, b) for a, b in zip(started, values, strict=True)]
    assert sum(unchanged) < 0.1 * len(values)


@pytest.mark.slow
def test_what_is_compiled_is_what_train_runs(data_dir, tmp_path):
    """The vector of a step, and what it does to every weight, on one CPU."""
    # As for a TPU: elsewhere another, equivalent update of the weights is faster.
    run_config = small_data.small_config(data_dir, tmp_path, **SMALLEST, tpu="local")
    strategy, info = make_strategy(), dataset_info.load_info(str(data_dir))
    session = sessions.build_session(run_config, info, strategy)
    batches = sessions.training_batches(
        strategy, run_config, info, session.sizes, session.map_resize, step=0
    )
    batch = next(iter(batches))
    sums, bad_step, _ = session.train_steps(iter([batch]), tf.constant(1))
    assert bad_step == -1
    traced = steps.trace("train", run_config, 1, 4)
    pure = pure_step.PureStep(traced.function)
    values = [tf.convert_to_tensor(v) for v in pure.variables]
    (vector,), values = replay(pure, values, tf.nest.flatten(batch))
    np.testing.assert_array_equal(vector, sums)
    theirs = {v.path: v.numpy() for v in traced.owner.network.variables}
    assert len(theirs) > 20
    traced.function(batch)
    for variable in traced.owner.network.variables:
        assert not np.array_equal(variable.numpy(), theirs[variable.path]), variable.path
        real = next(v for v in session.network.variables if v.path == variable.path)
        np.testing.assert_array_equal(variable.numpy(), real.numpy(), err_msg=variable.path)


def test_batches_without_a_data_set_are_those_of_one(data_dir, tmp_path):
    run_config = small_data.small_config(data_dir, tmp_path)
    shown = dict(
        image_size=28,
        clickmap_size=14,
        clickmap_blur=clickmaps.parse_blur("box:5"),
    )
    view, order = input_pipeline.View(**shown), input_pipeline.Order()
    info = steps.placeholder_data_set(str(tmp_path), run_config, 4)
    real = dataset_info.load_info(str(data_dir))
    for make in (
        lambda *data: input_pipeline.make_train_dataset(*data, "train", view, order, batch_size=4),
        lambda *data: eval_pipeline.make_eval_dataset(*data, "validation", batch_size=4, **shown),
    ):
        mine = make(str(tmp_path), info)
        assert mine.element_spec == make(str(data_dir), real).element_spec


def test_one_core_of_many_sums_over_all():
    strategy = steps.OneCore(8)
    assert strategy.num_replicas_in_sync == 8
    with strategy.scope():
        variable = tf.Variable([1.0, 2.0])

    def step(x):
        context = tf.distribute.get_replica_context()
        assert context.num_replicas_in_sync == 8
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, [x, x])
        return total, context.all_reduce(tf.distribute.ReduceOp.MEAN, variable * 1.0)

    operations = strategy.trace(step, tf.TensorSpec([3], tf.float32)).graph.get_operations()
    sums = [o for o in operations if o.type == "CrossReplicaSum"]
    assert [o.inputs[0].shape.as_list() for o in sums] == [[3], [3], [2]]
    groups = tf.get_static_value(sums[0].inputs[1])
    assert groups.tolist() == [list(range(8))]
    contexts = strategy.distribute_datasets_from_function(
        lambda context: context.get_per_replica_batch_size(1024)
    )
    assert contexts == 128


def cpu_hlo(function, *specs):
    """(text, dynamic operations) of a function of tensors."""
    traced = tf.function(function).get_concrete_function(*specs)
    step = pure_step.PureStep(traced)
    text, _, _ = lowering.lower(step, "CPU")
    return text, lowering.dynamic_operations(traced.graph, step.operations)


def products(text):
    return [
        hlo.multiply_adds(i) for i in hlo.instructions(text) if i.opcode in ("dot", "convolution")
    ]


def test_multiply_adds_by_hand():
    def step(x, y, image, kernel):
        strided = tf.nn.conv2d(image, kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return x @ y, strided

    text, _ = cpu_hlo(
        step,
        tf.TensorSpec([3, 5], tf.float32),
        tf.TensorSpec([5, 7], tf.float32),
        tf.TensorSpec([2, 4, 4, 3], tf.float32),
        tf.TensorSpec([3, 3, 3, 8], tf.float32),
    )
    # 4 px, padded by 1: windows begin at -1 and 1, of whose six taps an axis five are inside.
    assert sorted(products(text)) == [3 * 5 * 7, 2 * 5 * 5 * 3 * 8]


def test_gradients_of_a_convolution_cost_what_it_costs():
    """Each multiply-add of the forward pass has one in either gradient, dilated as they are."""

    def step(image, kernel):
        with tf.GradientTape() as tape:
            tape.watch([image, kernel])
            y = tf.nn.conv2d(image, kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return tape.gradient(y, [image, kernel], output_gradients=y)

    text, _ = cpu_hlo(
        step, tf.TensorSpec([2, 9, 9, 3], tf.float32), tf.TensorSpec([3, 3, 3, 8], tf.float32)
    )
    pairs = 3 + 3 + 3 + 3 + 3 - 2  # five windows of three taps, one tap outside at either end
    assert products(text) == [2 * 3 * 8 * pairs**2] * 3


def test_operands_by_name_alone():
    text = (
        "ENTRY %main {\n"
        "  p.1 = f32[3,5]{1,0} parameter(0)\n"
        "  p.2 = (f32[5,7]{1,0}, /*index=1*/s32[]) parameter(1)\n"
        "  g = f32[5,7]{1,0} get-tuple-element(p.2), index=0\n"
        '  ROOT d = f32[3,7]{1,0} dot(p.1, g), lhs_contracting_dims={1}, metadata={op_name="a/b"}\n'
        "}\n"
    )
    *_, dot = hlo.instructions(text)
    assert dot.operands == (hlo.Shape("f32", (3, 5)), hlo.Shape("f32", (5, 7)))
    assert (dot.node, hlo.multiply_adds(dot)) == ("a/b", 105)
    with pytest.raises(ValueError, match="parameter is no matrix product"):
        hlo.multiply_adds(next(hlo.instructions(text)))


IMAGE = {
    "image": tf.TensorSpec([4, 16, 16, 3], tf.uint8),
    "label": tf.TensorSpec([4], tf.int32),
    "has_clickmap": tf.TensorSpec([4], tf.float32),
}


def clean_step(batch):
    """A bfloat16 convolution and a loss."""
    kernel = tf.ones([3, 3, 3, 8], tf.bfloat16)
    y = tf.nn.conv2d(tf.cast(batch["image"], tf.bfloat16), kernel, 1, "SAME")
    logits = tf.reduce_mean(tf.cast(y, tf.float32), (1, 2))
    return losses.cross_entropy(logits, batch["label"])


def linted(plant=None):
    function = planted_defects.DEFECTS[plant](clean_step) if plant else clean_step
    return lint.lint(*cpu_hlo(function, IMAGE))


def test_a_clean_step_has_no_fault():
    found = linted()
    assert found.findings == () and found.faults == {}
    assert found.shares == {"bf16": 1.0}
    assert found.multiply_adds == 4 * 8 * 3 * (16 * 3 - 2) ** 2


@pytest.mark.parametrize(
    "plant, rule, operation",
    [
        ("float64", "float64", "Cast"),
        ("int64", "int64", "Cumsum"),
        ("float32", "matrix", "MatMul"),
        ("dynamic_shape", "dynamic", "Where"),
    ],
)
def test_planted_defects_are_found_by_name(plant, rule, operation):
    faults = linted(plant).faults
    assert rule in faults
    assert operation in {finding.operation for finding in faults[rule]}
    # A selection counts in int64; nothing else breaks a rule that it was not planted for.
    assert set(faults) <= {rule} | ({"int64"} if plant == "dynamic_shape" else set())


def test_shares_of_matrix_products():
    def step(a, b):
        return a @ a, b @ b

    text, _ = cpu_hlo(step, tf.TensorSpec([64, 64], tf.bfloat16), tf.TensorSpec([8, 8], tf.float32))
    found = lint.lint(text)
    assert found.shares == pytest.approx({"bf16": 512 / 513, "f32": 1 / 513})
    assert [f.rule for f in found.findings] == ["matrix"]  # said,
    assert found.faults == {}  # but below what heads and losses may have


def test_counters_may_be_int64_and_constants_anything():
    step = tf.Variable(0, dtype=tf.int64)

    def count(x):
        step.assign_add(1)
        return x + tf.cast(step, tf.float32)

    text, _ = cpu_hlo(count, tf.TensorSpec([2], tf.float32))
    assert "s64[]" in text
    assert lint.lint(text).findings == ()


@pytest.mark.parametrize(
    "line",
    [
        '  o = token[] outfeed(f32[2]{0} x, token[] t), metadata={op_type="A" op_name="b"}',
        "  s = (f32[2]{0}, u32[], token[]) send(f32[2]{0} x, token[] t), channel_id=1, "
        'is_host_transfer=true, metadata={op_type="A" op_name="b"}',
        '  c = f32[2]{0} custom-call(f32[2]{0} x), custom_call_target="xla_python_cpu_callback", '
        'metadata={op_type="A" op_name="b"}',
    ],
)
def test_calls_of_the_host(line):
    (finding,) = lint.lint(line).faults["host"]
    assert (finding.operation, finding.node) == ("A", "b")
    harmless = '  c = f32[2]{0} custom-call(f32[2]{0} x), custom_call_target="Sharding"'
    assert lint.lint(harmless).faults == {}


def test_the_cross_entropy_compares_no_64_bit_integers():
    """Keras' one_hot does, [B, K] of them; a TPU computes each as a pair."""
    specs = tf.TensorSpec([8, 100], tf.bfloat16), tf.TensorSpec([8], tf.int32)
    text, _ = cpu_hlo(losses.cross_entropy, *specs)
    assert lint.lint(text).findings == ()


def test_keys_forget_names_and_remember_conditions():
    text = (
        "HloModule a_inference_flat_12__.3, is_scheduled=false\n"
        '  x = f32[2]{0} add(a, b), metadata={op_type="A" op_name="layer" source_line=10}\n'
    )
    renamed = text.replace("flat_12__", "flat_77__").replace('"layer"', '"other"')
    assert verdicts.key(text, topology="v3:2x2x1") == verdicts.key(renamed, topology="v3:2x2x1")
    assert verdicts.key(text, topology="v3:2x2x1") != verdicts.key(text, topology="v2:2x2")
    assert verdicts.key(text) != verdicts.key(text.replace("add", "multiply"))


def test_a_half_written_verdict_is_none(tmp_path):
    kept = verdicts.Cache(tmp_path / "new")
    assert kept.get("a") is None
    kept.put("a", {"compiles": True})
    assert kept.get("a") == {"compiles": True}
    (tmp_path / "new" / "a.json").write_text('{"comp')
    assert kept.get("a") is None
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


MESSAGES = {
    "Failed getting HLO text: 'Detected unsupported operations when trying to compile graph f[] on "
    "XLA_TPU_JIT: ResizeBicubic (No registered 'ResizeBicubic' OpKernel for XLA_TPU_JIT devices "
    "compatible with node {{node a/ResizeBicubic}}){{node a/ResizeBicubic}}\nOne approach": (
        "ResizeBicubic (a/ResizeBicubic): TPUs have no such operation"
    ),
    "Input 1 to node `a/Reshape` with op Reshape must be a compile-time constant.\n\n[[{{node "
    "a/Reshape}}]]": (
        "InvalidArgumentError (a/Reshape): Input 1 to node `a/Reshape` with op Reshape must be a "
        "compile-time constant."
    ),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_what_stopped_a_step_is_named(message):
    error = lowering.describe(tf.errors.InvalidArgumentError(None, None, message))
    facts = {"stage": "lowering", "dynamic": [], "error": error}
    ended = subprocess.CompletedProcess([], 0, "", "")
    assert verdicts.what_stopped(facts, ended) == MESSAGES[message]


def test_a_process_that_died_is_blamed_on_the_first_dynamic_shape():
    dynamic = [{"operation": "ResizeBilinear", "node": "r", "shape": "[8, None, None, 3]"}]
    died = subprocess.CompletedProcess([], -6, "", "Check failed")
    stopped = verdicts.what_stopped({"stage": "lowering", "dynamic": dynamic}, died)
    assert stopped.startswith("ResizeBilinear (r): its shape is dynamic, [8, None, None, 3]")
    assert "status -6" in stopped
    assert verdicts.what_stopped({"stage": "done", "dynamic": dynamic}, died) is None
    stopped = verdicts.what_stopped({"stage": "lowering", "dynamic": []}, died)
    assert stopped == "the compiler's process ended with status -6: Check failed"


def test_what_is_not_the_steps_fault_is_an_error():
    ended = subprocess.CompletedProcess([], 1, "", "no module named keras")
    with pytest.raises(ValueError, match="status 1 before it had a step: no module named keras"):
        verdicts.what_stopped({}, ended)
    error = {"kind": "ValueError", "operations": [], "node": "", "message": "--depth: no"}
    with pytest.raises(ValueError, match="^--depth: no$"):
        verdicts.what_stopped({"stage": "tracing", "error": error}, ended)


def test_floor_by_hand():
    half_of_v3 = summary.floor(2.46e12, 45e9, summary.chip_of("v3:2x2x1"), devices_per_chip=2)
    assert half_of_v3.flops == pytest.approx(0.04)  # of 61.5 TFLOP/s
    assert half_of_v3.bytes == pytest.approx(0.1)  # of 450 GB/s
    assert half_of_v3.seconds == half_of_v3.bytes


def test_topologies_are_checked_before_anything():
    for topology in ("v9:2x2", "v3"):
        with pytest.raises(ValueError, match=f"--topology={topology}: expected GENERATION:CHIPS"):
            summary.chip_of(topology)


def test_batch_estimate_by_hand():
    # 100 fixed, 10 an image: 900 remain for 90 images, and 88 is a multiple of 8.
    assert summary.batch_estimate(peak=420, fixed=100, batch=32, limit=1000) == 88


def test_sizes_in_the_compilers_refusal():
    message = (
        "E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
        "temporaries (8.50G) exceeds available HBM (768.00M). HLO module: f."
    )
    assert compiling.sizes_in(message) == {"needed": 8.5 * 2**30, "available": 768 * 2**20}
    assert compiling.sizes_in("else") == {"needed": None, "available": None}


def fake_environment(directory, versions):
    """A directory whose Python says that it has those versions."""
    (directory / "bin").mkdir(parents=True)
    python = directory / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(versions)}'\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return directory


def test_environments_are_recognised(tmp_path):
    suits = {**environment.PINNED, **dict.fromkeys(environment.OTHERS, "1.0")}
    assert environment.find(tmp_path / "none") is None
    found = environment.find(fake_environment(tmp_path / "good", suits))
    assert found.python == tmp_path / "good" / "bin" / "python"
    for changed, words in (
        ({"jax": "0.1"}, r"jax 0\.1 \(needed: 0\.10\.2\)"),
        ({"scipy": None}, r"scipy missing \(needed: any\)"),
    ):
        directory = fake_environment(tmp_path / words[:4], {**suits, **changed})
        with pytest.raises(ValueError, match=words):
            environment.find(directory)


def test_no_environment_can_be_made(tmp_path, monkeypatch):
    """pip's own words are passed on."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="could not be made"):
        environment.make(tmp_path / "file" / "below")


def test_where_the_environment_is(monkeypatch):
    monkeypatch.setenv(environment.VARIABLE, "/somewhere")
    assert str(environment.default_directory()) == "/somewhere"
    monkeypatch.delenv(environment.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(environment.default_directory()) == "/cache/gala_tf/tpu_environment"
