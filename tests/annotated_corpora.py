"""Writers of small trees of IEMOCAP and MSP-Podcast in the grammar of their owners, with votes and ratings."""

CHOICES = ("Neutral;\t()", "Happiness; Excited;\t(smiling; not much)", "Neutral;\t()")  # of three annotators
MEANS = (2.5, 3.0, 3.5)  # of valence, arousal and dominance
MSP_HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
DETAILED = "FileName,EmoDetail\n"  # header of the releases 1.7 to 1.11


def iemocap_block(name, emotion="neu", choices=CHOICES, means=MEANS):
    """Return the lines of one turn in a file of EmoEvaluation."""
    votes = "".join(f"C-E{i}:\t{choice}\n" for i, choice in enumerate(choices, start=2))
    return (
        f"[6.2901 - 8.2357]\t{name}\t{emotion}\t[{', '.join(f'{mean:.4f}' for mean in means)}]\n{votes}"
        "C-F1:\tFrustration;\t(curious)\nA-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 3; act 2; dom  1;\t()\n"
    )


def write_iemocap_labels(root, name, *labels):
    """Add one turn, with the labels of `iemocap_block`, to the files of its dialogue; return the path of its audio."""
    dialogue, session = name.rsplit("_", 1)[0], root / f"Session{name[4]}"
    for folder, text in (
        ("EmoEvaluation", iemocap_block(name, *labels)),
        ("transcriptions", f"{name} [006.2901-008.2357]: Excuse me: you.\n"),
    ):
        path = session / "dialog" / folder / f"{dialogue}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        path.write_text(before + text + "\n")
    return session / "sentences" / "wav" / dialogue / f"{name}.wav"


def write_msp_tables(root, rows, detailed, labels="Labels/labels_consensus.csv"):
    """Write the tables of MSP-Podcast: rows of labels_consensus.csv, and the whole text of labels_detailed.csv."""
    table = root / labels
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(MSP_HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8-sig")
    (table.parent / "labels_detailed.csv").write_text(detailed, encoding="utf-8-sig")
