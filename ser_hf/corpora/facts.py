"""What is known about each corpus of `CORPORA` beyond its files: its voices, its licence, and what that means.

The facts are those of the corpora's own modules, which name their sources. A licence is an identifier of the Hub,
"other" for terms of the owners' own, and None where none is known: weights trained on it are not made public.
"""

from dataclasses import dataclass

# How we read each licence, which is no legal advice; the card says so.
MEANINGS = {
    "apache-2.0": "weights trained on it may be used for anything.",
    "cc0-1.0": "weights trained on it may be used for anything.",
    "cc-by-4.0": "weights trained on it may be used for anything, by whoever names the corpus.",
    "cc-by-nc-sa-4.0": (
        "weights trained on it are for non-commercial use only, whoever uses them names the corpus, and whoever passes "
        "them on does so under the same licence."
    ),
    "cc-by-nc-nd-4.0": (
        "weights trained on it are for non-commercial use only, and whoever uses them names the corpus. It forbids to "
        "pass on adaptations, and whether weights are one is not settled: ask its owners before you pass them on."
    ),
    "odbl": (
        "weights trained on it may be used for anything, by whoever names the corpus. It wants databases made from it "
        "to stay open; whether weights are one is not settled."
    ),
    "other": "weights trained on it are for the same uses only, and its owners say whether they may be passed on.",
    None: (
        "nobody may count on being allowed to use weights trained on it. ser_hf refuses to push them publicly; a "
        "private repository is possible. Ask its owners."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """Hold what a model card says about a corpus.

    Attributes:
        title: What its owners call it.
        url: Where it is described or to be had; None for data of the user's own.
        voices: Who speaks, in words.
        speech: "acted", "played" (improvised, or cut from plays), "natural", "synthetic" or "unknown".
        languages: BCP 47 codes.
        ages: Years, in words; None where unknown.
        licence: Identifier on the Hub, "other" for terms of the owners' own, None where unknown.
        terms: The licence in words.
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
        """Say what the licence means for weights trained on the corpus."""
        return MEANINGS[self.licence]


_OWN = {
    "voices": "speakers that ser_hf knows nothing of",
    "speech": "unknown",
    "terms": "not known to ser_hf, which read the files and not the conditions that they came with",
}

CORPUS_FACTS = {
    "aesdd": CorpusFacts(
        title="AESDD", url="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
        voices="six speakers, Greek, acted", languages=("el",), terms="unknown; its owners can be asked",
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
        languages=("de",), ages="21 to 35", terms="none is named; its paper opens it to the public",
    ),
    "emov_db": CorpusFacts(
        title="EmoV-DB", url="https://openslr.org/115", voices="four speakers, English, acted", languages=("en",),
        licence="other", terms="its owners' own, for non-commercial purposes only",
    ),
    "emovo": CorpusFacts(
        title="EMOVO", url="http://voice.fub.it/activities/corpora/emovo/index.html",
        voices="six actors, Italian, acted", languages=("it",), ages="23 to 30",
        terms="none is named; free for research",
    ),
    "esd": CorpusFacts(
        title="ESD", url="https://github.com/HLTSingapore/Emotional-Speech-Data",
        voices="ten speakers of Mandarin Chinese and ten of English, acted", languages=("zh", "en"),
        licence="other", terms="its owners' own, for research only, signed before use",
    ),
    "folder": CorpusFacts(title="a folder of the user's own", **_OWN),
    "hub": CorpusFacts(title="a dataset of the Hub or on disk", **_OWN),
    "iemocap": CorpusFacts(
        title="IEMOCAP", url="https://sail.usc.edu/iemocap/",
        voices="ten actors in pairs, American English, improvised or played from scripts", speech="played",
        languages=("en",), licence="other",
        terms="that of the University of Southern California, for research on request",
    ),
    "jl_corpus": CorpusFacts(
        title="JL-Corpus", url="https://www.kaggle.com/datasets/tli725/jl-corpus",
        voices="four professional speakers, New Zealand English, acted", languages=("en-NZ",),
        licence="cc0-1.0", terms="CC0",
    ),
    "meld": CorpusFacts(
        title="MELD", url="https://github.com/declare-lab/MELD",
        voices="the actors of the television series Friends, American English", speech="played", languages=("en",),
        terms="GPL 3.0 for the labels; unknown for the sound of the series",
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
        terms="its owners' own, free for research after registration",
    ),
    "shemo": CorpusFacts(
        title="ShEMO", url="https://github.com/mansourehk/ShEMO",
        voices="87 speakers of Persian in radio plays", speech="played", languages=("fa",), licence="other",
        terms="its owners' own, free of charge for academic purposes",
    ),
    "subesco": CorpusFacts(
        title="SUBESCO", url="https://zenodo.org/records/4526477", voices="20 professional actors, Bangla, acted",
        languages=("bn",), licence="cc-by-4.0", terms="CC BY 4.0",
    ),
    "synthetic": CorpusFacts(
        title="the synthetic corpus of ser_hf", voices="eight invented speakers of no language", speech="synthetic",
        licence="apache-2.0", terms="Apache 2.0, that of ser_hf",
    ),
    "table": CorpusFacts(title="a table of the user's own", **_OWN),
    "tess": CorpusFacts(
        title="TESS", url="https://doi.org/10.5683/SP2/E8H2MF", voices="two actresses, English, acted",
        languages=("en",), ages="26 and 64", licence="cc-by-nc-nd-4.0",
        terms="CC BY-NC 4.0 at its one address and CC BY-NC-ND 4.0 at the other; the narrower one counts here",
    ),
    "turev_db": CorpusFacts(
        title="TurEV-DB", url="https://github.com/Xeonen/TurEV-DB", voices="six speakers, Turkish, acted",
        languages=("tr",), licence="cc-by-nc-nd-4.0", terms="CC BY-NC-ND 4.0",
    ),
    "urdu": CorpusFacts(
        title="URDU", url="https://github.com/siddiquelatif/URDU-Dataset",
        voices="29 speakers of Urdu in talk shows, natural", speech="natural", languages=("ur",), licence="other",
        terms="its owners' own, for research only",
    ),
}  # fmt: skip
