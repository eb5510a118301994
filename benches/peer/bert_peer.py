"""Fine-tuning of a BERT by transformers, for the cases train/minilm-… of experiments/benches/training.

Attention as transformers chooses it (scaled_dot_product_attention).
"""

import transformers
from torch import nn
from training_peer import Training, serve
from transformers import BertConfig, BertForSequenceClassification


class Classifier(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.bert = BertForSequenceClassification(
            BertConfig(
                vocab_size=c["vocab_size"],
                hidden_size=c["d_model"],
                num_hidden_layers=c["n_layers"],
                num_attention_heads=c["n_heads"],
                intermediate_size=c["d_ff"],
                hidden_dropout_prob=c["dropout"],
                attention_probs_dropout_prob=c["attention_dropout"],
                num_labels=c["n_labels"],
            )
        )
        self.head_factor = c["head_factor"]

    def load(self, weights):
        missing, unexpected = self.bert.load_state_dict(weights, strict=False)
        assert not missing and not unexpected, f"missing {missing}, unexpected {unexpected}"

    def batch(self, tensors):
        return {
            "input_ids": tensors["input"],
            "token_type_ids": tensors["token_types"],
            "attention_mask": (~tensors["padding"]).long(),
            "labels": tensors["labels"],
        }

    def start(self):
        pass

    def groups(self, settings):
        """Vectors do not decay, and the head learns at a rate of its own."""
        groups = []
        for of_head, factor in ((False, 1.0), (True, self.head_factor)):
            for is_matrix, decay in ((True, settings["weight_decay"]), (False, 0.0)):
                named = self.bert.named_parameters()
                chosen = [p for n, p in named if n.startswith("classifier") == of_head and (p.dim() > 1) == is_matrix]
                groups.append((chosen, factor, decay))
        return groups

    def forward(self, batch):
        return self.bert(**batch).loss


if __name__ == "__main__":
    serve(lambda request: Training(request, Classifier(request["sizes"])), [transformers])
