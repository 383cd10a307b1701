"""`transformer export RUN FOLDER`: a trained model as Hugging Face's library reads it."""

from pathlib import Path

from jsonargparse import Namespace

from transformer.cli.parser import Parser

HELP = "write a model as Hugging Face's transformers reads it"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "model",
        type=str,
        help="the folder of a run, a folder in Hugging Face's layout, a name on its hub, or a "
        "GGUF file",
    )
    parser.add_argument("folder", type=Path, help="a new folder, for the model and its tokenizer")
    return parser


def run(options: Namespace) -> None:
    """Write the model and its tokenizer, and say how they are read."""
    from transformer.models.bert import BERT, ClassifierBERT, MaskedLanguageBERT
    from transformer.pretrained.load import load_model, save_pretrained, special_of

    model, tokenizer = load_model(options.model)
    save_pretrained(model, options.folder, tokenizer, special=special_of(options.model))
    reader = {
        MaskedLanguageBERT: "AutoModelForMaskedLM",
        BERT: "AutoModel",
        ClassifierBERT: "AutoModelForSequenceClassification",
    }.get(type(model), "AutoModelForCausalLM")
    how = ""
    if isinstance(model, BERT) and model.pooler is None:
        how = ", with add_pooling_layer=False"  # else it would draw a pooler at random
    print(f"{options.folder} is for transformers.{reader}.from_pretrained{how}")
