"""Analyses of recordings that run for a page, each of which its browser tab can stop."""

from collections.abc import Callable
from threading import Event

from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.recording_report import Report, analyse


class CancelledError(Exception):
    """Stop the analysis of a recording."""


class Jobs:
    """Analyse recordings, and stop the analyses that browser tabs no longer wait for.

    Args:
        classifier: The classifier.
        speech: How speech is detected, see `timeline`.
    """

    def __init__(self, classifier: EmotionClassifier, speech: str):
        self._classifier, self._speech = classifier, speech
        self._stopped: dict[str | None, Event] = {}  # by session, of running analyses

    def run(
        self,
        session: str | None,
        audio: str | None,
        *,
        separate: bool,
        speakers: str | None,
        progress: Callable[[float], None],
    ) -> Report:
        """Return the report of a recording.

        Args:
            session: Session of the browser tab, which has one analysis at a time.
            audio: As for `analyse`.
            separate: As for `analyse`.
            speakers: As for `analyse`.
            progress: As for `analyse`.

        Raises:
            CancelledError: If the session stops the analysis.
            ValueError: As for `analyse`.
            OSError: As for `analyse`.
        """
        stopped = self._stopped[session] = Event()

        def follow(share: float) -> None:
            if stopped.is_set():
                raise CancelledError
            progress(share)

        try:
            return analyse(
                self._classifier, audio, speech=self._speech, speakers=speakers, separate=separate, progress=follow
            )
        finally:
            if self._stopped.get(session) is stopped:  # not that of a newer analysis of the session
                del self._stopped[session]

    def stop(self, session: str | None) -> None:
        """Stop the analysis of a session, if one is running."""
        if stopped := self._stopped.get(session):
            stopped.set()
