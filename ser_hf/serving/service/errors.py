"""Why the service refuses a request, each with its HTTP status."""


class UploadError(ValueError):
    """Signal that a request has no recording that can be answered: it is silent, damaged, or not sent as expected."""

    status = 422


class NotAudioError(UploadError):
    """Signal that bytes are no audio that can be decoded."""

    status = 415


class TooLongError(UploadError):
    """Signal that a recording has more bytes or more seconds than the limit."""

    status = 413


class SlowError(UploadError):
    """Signal that a request did not arrive in time."""

    status = 408


class BusyError(UploadError):
    """Signal that as many requests as allowed are in progress."""

    status = 429


class StoppedError(RuntimeError):
    """Signal that the model does not run: the service stops, or was not started."""

    status = 503
