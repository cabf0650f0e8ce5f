"""Weights that the Hub does not give, and paths that are taken for names on it."""

from gr00t_assets.trainers.failures.known import Known, told

_TOKEN = "set HF_TOKEN to a token that may read it"
_LOCAL = "or name a folder that holds the weights as base_model, by its absolute path"

KNOWN = (
    Known(
        "hub-gated",
        (r"Cannot access gated repo", r"You are trying to access a gated repo", r"GatedRepoError"),
        told(
            "the weights of {base_model} are gated on the Hub.",
            "accept the terms on the model's page, with the account of the token",
            _TOKEN,
            _LOCAL,
        ),
    ),
    Known(
        "hub-token",
        (r"Invalid credentials in Authorization header", r"User Access Token .* is expired"),
        told("the Hub does not take the token that is set.", _TOKEN, "or unset it"),
    ),
    Known(
        "hub-revision",
        (r"Revision Not Found for url", r"is not a valid git identifier"),
        told(
            "the Hub has no such revision of {base_model}.",
            "mend base_model_revision in the sweep file",
        ),
    ),
    Known(
        "model-path",
        (
            r"HFValidationError: Repo id must [^\n]*?: '(?P<path>[^']+)'",
            r"HFValidationError: (?P<reason>.*)",
            r"Can't load the configuration of '(?P<path2>[^']+)'",
        ),
        told(
            "a model's path was taken for a name on the Hub: {path}{path2}",
            "relative paths are; write the absolute path of a folder that exists, or the Hub's "
            "'owner/name'",
        ),
    ),
    Known(
        "hub-missing",
        (
            r"RepositoryNotFoundError",
            r"Repository Not Found for url",
            r"is not a local folder and is not a valid model identifier",
        ),
        told(
            "the Hub has no model {base_model}, or it is private.",
            "mend base_model in the sweep file",
            f"where it is private: {_TOKEN}",
            _LOCAL,
        ),
    ),
    Known(
        "hub-refused",
        (r"(?P<status>401|403) (?:Client Error: \w+ for url|Forbidden)",),
        told(
            "the Hub refused the weights of {base_model} with {status}.",
            f"where they are private or gated: {_TOKEN}",
            _LOCAL,
        ),
    ),
    Known(
        "hub-file",
        (
            r"(?<!Local)EntryNotFoundError",
            r"does not appear to have (?:a file|files) named (?P<file>\S+)",
            r"Error no file named (?P<file2>[\w.]+),? .*found in directory",
        ),
        told(
            "the model {base_model} lacks a file: {file}{file2}",
            "see that base_model is a model of GR00T N1.5 and its download is complete",
        ),
    ),
    Known(
        "hub-unreachable",
        (
            r"LocalEntryNotFoundError",
            r"We couldn't connect to '[^']+' to load the files",
            r"OfflineModeIsEnabled",
            r"There was a specific connection error when trying to load",
            r"(?:NameResolutionError|Temporary failure in name resolution)",
            r"Max retries exceeded with url",
            r"Network is unreachable",
        ),
        told(
            "the Hub could not be reached, and {base_model} is not on this machine.",
            "see that this machine reaches https://huggingface.co and HF_HUB_OFFLINE is not set",
            _LOCAL,
        ),
    ),
)
