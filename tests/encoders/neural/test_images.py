"""Texts and images in one space: tiny random CLIP models in both layouts, and the branch over them."""

from __future__ import annotations

import io
import json
import shutil
import warnings

import numpy as np
import pytest

import hybrid
from hybrid.encoders.neural.images import ImageTextEncoder
from hybrid.errors import DocumentError, EncoderError, InputError, PipelineError
from hybrid.types import ImageEncoder

Image = pytest.importorskip("PIL.Image")
TEXTS = ["a red square", "b", "", "a much longer text than the others of them"]
COLOURS = {"red": (255, 0, 0), "green": (0, 200, 0), "blue": (10, 20, 250), "grey": (90, 90, 90)}


def picture(colour, kind="PNG", size=(40, 30), mode="RGB"):
    image = Image.new("RGB", size, COLOURS[colour])
    image.putpixel((3, 4), (255, 255, 255))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A CLIP of random weights, saved by sentence-transformers as it saves CLIP now."""
    import sentence_transformers
    import torch
    import transformers
    from sentence_transformers.base.modules import Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    base = tmp_path_factory.mktemp("clip")
    words = [
        "<|startoftext|>",
        "<|endoftext|>",
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    tokenizer = Tokenizer(
        models.BPE(
            {w: n for n, w in enumerate(words)}, [], end_of_word_suffix="</w>", unk_token="<|endoftext|>"
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", 0), ("<|endoftext|>", 1)],
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=24,
    )
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.CLIPConfig(
        text_config={
            **sizes,
            "vocab_size": len(words),
            "max_position_embeddings": 24,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
        projection_dim=20,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        model = transformers.CLIPModel(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(base / "clip")
        size = {"height": 16, "width": 16}
        transformers.CLIPProcessor(
            transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=size), fast
        ).save_pretrained(base / "clip")
        sentence_transformers.SentenceTransformer(
            modules=[Transformer(str(base / "clip"))], device="cpu"
        ).save(str(base / "new"), create_model_card=False)
    return base / "new"


@pytest.fixture(scope="session")
def old_folder(clip_folder, tmp_path_factory):
    """The same in the layout of ``sentence-transformers/clip-ViT-B-32``."""
    folder = tmp_path_factory.mktemp("old") / "clip-ViT-B-32"
    shutil.copytree(clip_folder.parent / "clip", folder / "0_CLIPModel")
    (folder / "modules.json").write_text(
        json.dumps(
            [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]
        )
    )
    return folder


@pytest.fixture(scope="session")
def clip(clip_folder):
    return hybrid.load_encoder(str(clip_folder), device="cpu")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("layout", ["clip_folder", "old_folder"])
def test_texts_and_images_have_the_vectors_of_transformers(layout, clip_folder, request):
    import torch
    import transformers

    folder = request.getfixturevalue(layout)
    encoder = hybrid.load_encoder(str(folder), device="cpu")
    assert isinstance(encoder, ImageTextEncoder)
    assert isinstance(encoder, ImageEncoder)
    assert (encoder.dimension, encoder.normalized) == (20, True)
    images = [picture("red"), picture("blue", "JPEG"), picture("green", "WEBP"), picture("grey", mode="L")]
    model = transformers.CLIPModel.from_pretrained(clip_folder.parent / "clip").eval()
    processor = transformers.CLIPProcessor.from_pretrained(clip_folder.parent / "clip")
    opened = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
    with torch.no_grad():
        seen = model.get_image_features(**processor.image_processor(opened, return_tensors="pt"))
        read = model.get_text_features(
            **processor.tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True)
        )
    seen, read = (getattr(found, "pooler_output", found).numpy() for found in (seen, read))
    np.testing.assert_allclose(encoder.encode_images(images).vectors, unit(seen), rtol=0, atol=2e-6)
    batch = encoder.encode_queries(TEXTS)
    np.testing.assert_allclose(batch.vectors, unit(read), rtol=0, atol=2e-6)
    assert batch.truncated.tolist() == [False, False, False, True]


def test_the_fingerprint_knows_how_images_are_prepared(clip_folder, old_folder, tmp_path):
    changed = shutil.copytree(old_folder, tmp_path / "clip-ViT-B-32")
    one, same = (
        hybrid.load_encoder(str(folder), device="cpu").fingerprint() for folder in (old_folder, changed)
    )
    assert one == same
    path = next((changed / "0_CLIPModel").glob("*processor_config.json"))
    path.write_text(path.read_text().replace("0.48145466", "0.5"))
    other = shutil.copytree(changed, tmp_path / "again" / "clip-ViT-B-32")
    after = hybrid.load_encoder(str(other), device="cpu").fingerprint()
    assert {key for key in one if one[key] != after[key]} == {"images"}


def test_progress_and_what_is_no_image(clip):
    calls = []
    batch = clip.encode_images([picture("red")] * 33, lambda *call: calls.append(call[1:]))
    assert calls == [(0, 33), (32, 33), (33, 33)]
    assert np.allclose(batch.vectors, batch.vectors[0], atol=1e-6)
    assert clip.encode_images([]).vectors.shape == (0, 20)
    with pytest.raises(InputError, match="image 1 cannot be read"):
        clip.encode_images([picture("red"), b"no image"])
    with pytest.raises(InputError, match="image 0 cannot be read"):
        clip.encode_images([picture("red")[:60]])
    with pytest.raises(InputError, match="image 0 is a str"):
        clip.encode_images(["red.png"])


@pytest.fixture
def pipeline():
    return hybrid.Pipeline(branches=[hybrid.Dense("clip", image="photo")])


def test_a_branch_over_images_and_texts(clip, pipeline, tmp_path):
    path = tmp_path / "blue.png"
    path.write_bytes(picture("blue"))
    documents = [
        hybrid.Document(id="bytes", text="not read", image=picture("red")),
        hybrid.Document(id="path", metadata={"photo": str(path)}),
        hybrid.Document(id="text", text="a red square"),
        hybrid.Document(id="both", metadata={"photo": str(path)}, image=picture("green")),
    ]
    index = hybrid.create(tmp_path / "index", documents, pipeline=pipeline, encoders={"clip": clip})
    query = clip.encode_queries(["b"]).vectors[0]
    expected = {
        "bytes": clip.encode_images([picture("red")]).vectors[0] @ query,
        "path": clip.encode_images([picture("blue")]).vectors[0] @ query,
        "text": clip.encode_documents(["a red square"]).vectors[0] @ query,
        "both": clip.encode_images([picture("green")]).vectors[0] @ query,
    }
    found = {hit.id: hit.scores["dense"] for hit in index.search("b", k=4).hits}
    assert found == pytest.approx(expected, abs=1e-6)
    by_image = hybrid.Query("", vectors={"dense": clip.encode_images([picture("red")]).vectors[0]})
    assert index.search(by_image, k=1).hits[0].id == "bytes"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            hybrid.Document(id="x", metadata={"photo": "/no/such.png"}),
            "cannot read the image of document 'x'",
        ),
        (hybrid.Document(id="x", metadata={"photo": 3}), "metadata 'photo' of document 'x' is 3"),
        (hybrid.Document(id="x", image="red.png"), "the image of document 'x' is a str"),
    ],
)
def test_an_image_that_cannot_be_had_is_refused(clip, pipeline, tmp_path, document, message):
    with pytest.raises(DocumentError, match=message):
        hybrid.create(tmp_path / "index", [document], pipeline=pipeline, encoders={"clip": clip})


def test_an_image_that_nobody_looks_at_is_refused(tmp_path):
    pipeline = hybrid.Pipeline(branches=[hybrid.BM25()])
    with pytest.raises(DocumentError, match="'x' brings an image, but no branch looks at images"):
        hybrid.create(tmp_path / "index", [hybrid.Document(id="x", image=b"")], pipeline=pipeline)


def test_a_model_that_does_not_see_is_refused(tmp_path):
    class Blind:
        dimension, normalized = 2, False

        def fingerprint(self):
            return {"model": "blind"}

        def encode_documents(self, texts, progress=None):
            return hybrid.DenseBatch(np.ones((len(texts), 2), np.float32), np.zeros(len(texts), np.bool_))

        encode_queries = encode_documents

    pipeline = hybrid.Pipeline(branches=[hybrid.Dense("blind", image="photo")])
    with pytest.raises(EncoderError, match="'blind' encodes no images"):
        hybrid.create(
            tmp_path / "index",
            [hybrid.Document(id="x", image=b"1")],
            pipeline=pipeline,
            encoders={"blind": Blind()},
        )


@pytest.mark.parametrize(
    "wrong",
    [{"model": "clip", "image": ""}, {"model": "clip", "image": 3}, {"dimension": 3, "image": "photo"}],
)
def test_a_branch_says_what_its_images_need(wrong):
    with pytest.raises(PipelineError, match="image is"):
        hybrid.Dense(**wrong)


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory):
    """A SigLIP of random weights, saved by sentence-transformers; as there, its tokenizer gives no mask."""
    import sentence_transformers
    import torch
    import transformers
    from sentence_transformers.base.modules import Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    base = tmp_path_factory.mktemp("siglip")
    words = ["<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=24, model_input_names=["input_ids"], **names
    )
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    places = {"vocab_size": len(words), "max_position_embeddings": 24, "projection_size": 32}
    config = transformers.SiglipConfig(
        text_config={**sizes, **places, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(4)
        model = transformers.SiglipModel(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(base / "plain")
        images = transformers.SiglipImageProcessor(size={"height": 16, "width": 16})
        transformers.SiglipProcessor(images, fast).save_pretrained(base / "plain")
        sentence_transformers.SentenceTransformer(
            modules=[Transformer(str(base / "plain"))], device="cpu"
        ).save(str(base / "saved"), create_model_card=False)
    return base / "saved"


def test_siglip_s_texts_fill_the_window_whatever_stands_beside_them(siglip_folder):
    import torch
    import transformers

    encoder = hybrid.load_encoder(str(siglip_folder), device="cpu")
    plain = siglip_folder.parent / "plain"
    model = transformers.SiglipModel.from_pretrained(plain).eval()
    processor = transformers.SiglipProcessor.from_pretrained(plain)
    texts = [*TEXTS[:2], *TEXTS[3:]]
    image = picture("red")
    with torch.no_grad():
        ids = processor.tokenizer(texts, return_tensors="pt", padding="max_length", truncation=True)
        read = model.get_text_features(input_ids=ids["input_ids"])
        opened = Image.open(io.BytesIO(image)).convert("RGB")
        seen = model.get_image_features(**processor.image_processor([opened], return_tensors="pt"))
    read, seen = (getattr(found, "pooler_output", found).numpy() for found in (read, seen))
    together = encoder.encode_queries(texts).vectors
    np.testing.assert_allclose(together, unit(read), rtol=0, atol=2e-6)
    alone = np.concatenate([encoder.encode_queries([text]).vectors for text in texts])
    np.testing.assert_allclose(alone, together, rtol=0, atol=2e-6)
    np.testing.assert_allclose(encoder.encode_images([image]).vectors, unit(seen), rtol=0, atol=2e-6)
