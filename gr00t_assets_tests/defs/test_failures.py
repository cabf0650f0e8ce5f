import dagster as dg
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.defs.failures import explained_asset


@explained_asset()
def wrong(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    try:
        raise KeyError("front")
    except KeyError as error:
        raise DatasetError("demo", "camera 'front' is missing.", ["it has: wrist"]) from error


@explained_asset()
def broken() -> dg.MaterializeResult:
    raise ZeroDivisionError("a mistake of ours")


def test_the_step_fails_with_the_message_and_no_stack():
    result = dg.materialize([wrong], raise_on_error=False)
    failure = result.failure_data_for_node("wrong")
    assert failure is not None and failure.error is not None
    assert (
        failure.error.message == "DatasetError: demo: camera 'front' is missing.\n  it has: wrist\n"
    )
    assert failure.error.to_string() == failure.error.message
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == failure.error.message.rstrip()


def test_it_is_a_failure_to_those_who_raise_on_error():
    with pytest.raises(dg.Failure, match="DatasetError: demo"):
        dg.materialize([wrong])


def test_mistakes_of_the_program_keep_their_traceback():
    result = dg.materialize([broken], raise_on_error=False)
    failure = result.failure_data_for_node("broken")
    assert failure is not None and failure.error is not None
    assert "test_failures.py" in failure.error.to_string()
