"""Describe each corpus of `CORPORA` for model cards: speakers, licence, and what the licence means for trained weights.

The facts are those in the module of each corpus, which names its sources. A licence is a licence identifier of the
Hub, "other" for terms of the owners' own, or None if none is known. Weights trained on a corpus without a known
licence are not published.
"""

from dataclasses import dataclass
from typing import Any

# Our interpretation of each licence, not legal advice; the card says so.
MEANINGS = {
    "apache-2.0": "weights trained on it may be used for any purpose.",
    "cc0-1.0": "weights trained on it may be used for any purpose.",
    "cc-by-4.0": "weights trained on it may be used for any purpose, with credit to the corpus.",
    "cc-by-nc-sa-4.0": (
        "weights trained on it may be used for non-commercial purposes only, with credit to the corpus, and "
        "redistributed only under the same licence."
    ),
    "cc-by-nc-nd-4.0": (
        "weights trained on it may be used for non-commercial purposes only, with credit to the corpus. The licence "
        "forbids sharing adaptations, and whether weights are an adaptation is not settled: ask the owners of the "
        "corpus before you redistribute weights."
    ),
    "odbl": (
        "weights trained on it may be used for any purpose, with credit to the corpus. The licence requires that "
        "databases derived from the corpus stay open; whether weights are such a database is not settled."
    ),
    "other": (
        "weights trained on it may be used only for the purposes that these terms allow; ask the owners of the corpus "
        "whether weights may be redistributed."
    ),
    None: (
        "no permission to use weights trained on it is known. ser_hf refuses to push them publicly; a private "
        "repository is possible. Ask the owners of the corpus."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """Hold what a model card says about a corpus.

    Attributes:
        title: Name of the corpus as its owners write it.
        url: Page that describes or distributes the corpus; None for the user's own data.
        voices: Description of the speakers.
        speech: "acted", "played" (improvised or from plays), "natural", "synthetic" or "unknown".
        languages: BCP 47 codes.
        ages: Range of ages in years, as text; None if unknown.
        licence: Licence identifier of the Hub, "other" for terms of the owners' own, None if unknown.
        terms: Licence as text.

    Examples:
        >>> CORPUS_FACTS["tess"].voices, CORPUS_FACTS["tess"].licence
        ('two actresses, English, acted', 'cc-by-nc-nd-4.0')
    """

    title: str
    url: str | None = None
    voices: str
    speech: str = "acted"
    languages: tuple[str, ...] = ()
    ages: str | None = None
    licence: str | None = None
    terms: str

    @property
    def meaning(self) -> str:
        """Return what the licence means for weights trained on the corpus."""
        return MEANINGS[self.licence]


_OWN: dict[str, Any] = {
    "voices": "no information about the speakers",
    "speech": "unknown",
    "terms": "unknown; ser_hf reads the files, not the terms of use that come with them",
}

CORPUS_FACTS = {
    "aesdd": CorpusFacts(
        title="AESDD", url="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
        voices="six speakers, Greek, acted", languages=("el",), terms="unknown; ask its owners",
    ),
    "cafe": CorpusFacts(
        title="CaFE", url="https://zenodo.org/records/1478765", voices="twelve actors, Canadian French, acted",
        languages=("fr-CA",), ages="15 to 64", licence="cc-by-nc-sa-4.0", terms="CC BY-NC-SA 4.0",
    ),
    "crema_d": CorpusFacts(
        title="CREMA-D", url="https://github.com/CheyneyComputerScience/CREMA-D", voices="91 actors, English, acted",
        languages=("en",), ages="20 to 74", licence="odbl", terms="ODbL 1.0, the recordings DbCL 1.0",
    ),
    "emodb": CorpusFacts(
        title="Emo-DB", url="http://emodb.bilderbar.info", voices="ten professional actors, German, acted",
        languages=("de",), ages="21 to 35", terms="none is stated; its paper makes the corpus public",
    ),
    "emov_db": CorpusFacts(
        title="EmoV-DB", url="https://openslr.org/115", voices="four speakers, English, acted", languages=("en",),
        licence="other", terms="the owners' own, for non-commercial purposes only",
    ),
    "emovo": CorpusFacts(
        title="EMOVO", url="http://voice.fub.it/activities/corpora/emovo/index.html",
        voices="six actors, Italian, acted", languages=("it",), ages="23 to 30",
        terms="none is stated; free for research",
    ),
    "esd": CorpusFacts(
        title="ESD", url="https://github.com/HLTSingapore/Emotional-Speech-Data",
        voices="ten speakers of Mandarin Chinese and ten of English, acted", languages=("zh", "en"),
        licence="other", terms="the owners' own, for research only, to be signed before use",
    ),
    "folder": CorpusFacts(title="the user's own folder of audio files", **_OWN),
    "hub": CorpusFacts(title="a dataset from the Hub or from disk", **_OWN),
    "iemocap": CorpusFacts(
        title="IEMOCAP", url="https://sail.usc.edu/iemocap/",
        voices="ten actors in pairs, American English, improvised or played from scripts", speech="played",
        languages=("en",), licence="other",
        terms="that of the University of Southern California, for research, on request",
    ),
    "jl_corpus": CorpusFacts(
        title="JL-Corpus", url="https://www.kaggle.com/datasets/tli725/jl-corpus",
        voices="four professional speakers, New Zealand English, acted", languages=("en-NZ",),
        licence="cc0-1.0", terms="CC0",
    ),
    "meld": CorpusFacts(
        title="MELD", url="https://github.com/declare-lab/MELD",
        voices="the actors of the television series Friends, American English", speech="played", languages=("en",),
        terms="GPL 3.0 for the labels; unknown for the audio of the series",
    ),
    "msp_improv": CorpusFacts(
        title="MSP-IMPROV", url="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
        voices="12 actors in pairs, American English, mostly improvised", speech="played", languages=("en",),
        licence="other", terms="that of the University of Texas at Dallas, on request",
    ),
    "msp_podcast": CorpusFacts(
        title="MSP-Podcast", url="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
        voices="speakers of podcasts, English, natural", speech="natural", languages=("en",),
        licence="other", terms="that of the University of Texas at Dallas, on request",
    ),
    "nemo": CorpusFacts(
        title="nEMO", url="https://github.com/amu-cai/nEMO", voices="nine actors, Polish, acted",
        languages=("pl",), ages="23 to 28", licence="cc-by-nc-sa-4.0", terms="CC BY-NC-SA 4.0",
    ),
    "ravdess": CorpusFacts(
        title="RAVDESS", url="https://zenodo.org/records/1188976",
        voices="24 professional actors, North American English, acted", languages=("en",),
        licence="cc-by-nc-sa-4.0", terms="CC BY-NC-SA 4.0",
    ),
    "ravdess_song": CorpusFacts(
        title="RAVDESS, song", url="https://zenodo.org/records/1188976",
        voices="professional actors, North American English, sung", languages=("en",),
        licence="cc-by-nc-sa-4.0", terms="CC BY-NC-SA 4.0",
    ),
    "savee": CorpusFacts(
        title="SAVEE", url="http://kahlan.eps.surrey.ac.uk/savee/", voices="four men, British English, acted",
        languages=("en-GB",), ages="27 to 31", licence="other",
        terms="the owners' own, free for research after registration",
    ),
    "shemo": CorpusFacts(
        title="ShEMO", url="https://github.com/mansourehk/ShEMO",
        voices="87 speakers of Persian in radio plays", speech="played", languages=("fa",), licence="other",
        terms="the owners' own, free of charge for academic purposes",
    ),
    "subesco": CorpusFacts(
        title="SUBESCO", url="https://zenodo.org/records/4526477", voices="20 professional actors, Bangla, acted",
        languages=("bn",), licence="cc-by-4.0", terms="CC BY 4.0",
    ),
    "synthetic": CorpusFacts(
        title="the synthetic corpus of ser_hf", voices="eight synthetic speakers, nonsense sentences in no language",
        speech="synthetic", licence="apache-2.0", terms="Apache 2.0, the licence of ser_hf",
    ),
    "table": CorpusFacts(title="the user's own table of audio files", **_OWN),
    "tess": CorpusFacts(
        title="TESS", url="https://doi.org/10.5683/SP2/E8H2MF", voices="two actresses, English, acted",
        languages=("en",), ages="26 and 64", licence="cc-by-nc-nd-4.0",
        terms="CC BY-NC 4.0 on one of its two pages, CC BY-NC-ND 4.0 on the other; ser_hf applies the stricter",
    ),
    "turev_db": CorpusFacts(
        title="TurEV-DB", url="https://github.com/Xeonen/TurEV-DB", voices="six speakers, Turkish, acted",
        languages=("tr",), licence="cc-by-nc-nd-4.0", terms="CC BY-NC-ND 4.0",
    ),
    "urdu": CorpusFacts(
        title="URDU", url="https://github.com/siddiquelatif/URDU-Dataset",
        voices="29 speakers of Urdu in talk shows, natural", speech="natural", languages=("ur",), licence="other",
        terms="the owners' own, for research only",
    ),
}  # fmt: skip
