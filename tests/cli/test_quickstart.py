"""The quickstart from end to end, in its quick form."""

from __future__ import annotations

import json

from matplotlib.image import imread


def test_quickstart(command, tmp_path) -> None:
    folder = tmp_path / "first"
    result = command("quickstart", "--quick", "--out", folder)
    assert result.exit_code == 0, result.output
    summary = json.loads((folder / "summary.json").read_text())
    evaluation = summary["evaluation"]
    assert evaluation["examples"] == 500
    assert evaluation["latent_dim"] == 16
    assert evaluation["log_p_samples"] == 50
    # Three epochs: far better than an untrained model (about -543 = 784 log(1/2)), far from a trained one.
    assert -400 < evaluation["elbo"] < -100
    assert summary["dcgan"]["spread"] > 0 and 0 <= summary["dcgan"]["discriminator_real"] <= 1
    names = ["reconstructions", "samples", "latent_plane", "manifold", "dcgan_samples"]
    assert summary["figures"] == [f"figures/{name}.png" for name in names]
    for name in summary["figures"]:
        assert imread(folder / name)[..., :3].std() > 0.05
    work = [row["name"].split()[0].rstrip(",") for row in summary["speed"]]
    ops = ["reparameterize_kl", "bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo"]
    assert work == ["epoch", *ops, *ops]
    assert all(row["eager"] > 0 and row["fused"] > 0 for row in summary["speed"])
    for phrase in (
        "Test digits",
        "DCGAN beside test digits",
        "active units",
        "Speed beside eager PyTorch",
        str(folder),
    ):
        assert phrase in result.stdout.replace("\n", "")
    assert (folder / "vae" / "config.toml").exists()
    assert (folder / "dcgan" / "samples" / "samples-00001.png").exists()
    again = command("quickstart", "--quick", "--out", folder)
    assert again.exit_code == 2
    assert "already holds a quickstart" in again.stderr
