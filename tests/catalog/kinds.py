"""The kinds of models of the catalog: each with what it is taught and what it is asked."""

from dataclasses import dataclass, field

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn import calibration, cluster, compose, decomposition, discriminant_analysis, ensemble
from sklearn import feature_extraction, feature_selection, gaussian_process, impute, linear_model
from sklearn import mixture, multiclass, multioutput, naive_bayes, neighbors, neural_network
from sklearn import pipeline, preprocessing, svm, tree

ROWS_TAUGHT, ROWS_ASKED, FEATURES = 400, 40, 8
PLAIN = {"zipmap": False}

random = np.random.default_rng(11)
x = random.standard_normal((ROWS_TAUGHT, FEATURES)).astype(np.float32)
score = x[:, 0] + 0.5 * x[:, 1] * x[:, 2] - 0.3 * x[:, 3]
number = (score + 0.1 * random.standard_normal(ROWS_TAUGHT)).astype(np.float32)
numbers = np.stack([number, x[:, 4] - number], axis=1)
two = (score > 0).astype(np.int64)
three = np.digitize(score, [-0.6, 0.6]).astype(np.int64)
text = np.array(["low", "middle", "high"])[three]
counts = np.abs(x * 3).round().astype(np.float32)
holes = np.where(random.random(x.shape) < 0.2, np.nan, x).astype(np.float32)
words = random.choice(["red", "green", "blue"], (ROWS_TAUGHT, 2)).astype(object)
whole = random.integers(0, 4, (ROWS_TAUGHT, 2)).astype(np.int64)
table = pd.DataFrame({"size": x[:, 0], "weight": x[:, 1], "colour": words[:, 0], "shape": words[:, 1]})


@dataclass
class Kind:
    name: str
    model: object
    taught: tuple
    asked: object
    library: str = "sklearn"
    options: dict = field(default_factory=dict)
    opset: object = None


def classifiers():
    kinds = {
        "logistic_regression": linear_model.LogisticRegression(),
        "sgd_classifier": linear_model.SGDClassifier(loss="log_loss", random_state=0),
        "sgd_hinge": linear_model.SGDClassifier(random_state=0),
        "ridge_classifier": linear_model.RidgeClassifier(),
        "perceptron": linear_model.Perceptron(random_state=0),
        "passive_aggressive": linear_model.PassiveAggressiveClassifier(random_state=0),
        "linear_svc": svm.LinearSVC(),
        "svc_rbf": svm.SVC(),
        "svc_linear": svm.SVC(kernel="linear"),
        "svc_poly": svm.SVC(kernel="poly"),
        "svc_sigmoid": svm.SVC(kernel="sigmoid"),
        "svc_probability": svm.SVC(probability=True, random_state=0),
        "nu_svc": svm.NuSVC(nu=0.3),
        "decision_tree": tree.DecisionTreeClassifier(random_state=0),
        "random_forest": ensemble.RandomForestClassifier(20, random_state=0),
        "extra_trees": ensemble.ExtraTreesClassifier(20, random_state=0),
        "gradient_boosting": ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0),
        "hist_gradient_boosting": ensemble.HistGradientBoostingClassifier(max_iter=20),
        "ada_boost": ensemble.AdaBoostClassifier(n_estimators=10, random_state=0),
        "bagging": ensemble.BaggingClassifier(n_estimators=5, random_state=0),
        "voting": ensemble.VotingClassifier(
            [("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())],
            voting="soft",
            flatten_transform=False,
        ),
        "stacking": ensemble.StackingClassifier(
            [("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())]
        ),
        "k_neighbours": neighbors.KNeighborsClassifier(3),
        "gaussian_bayes": naive_bayes.GaussianNB(),
        "bernoulli_bayes": naive_bayes.BernoulliNB(),
        "lda": discriminant_analysis.LinearDiscriminantAnalysis(),
        "qda": discriminant_analysis.QuadraticDiscriminantAnalysis(),
        "mlp": neural_network.MLPClassifier(hidden_layer_sizes=(8,), max_iter=100, random_state=0),
        "one_versus_rest": multiclass.OneVsRestClassifier(linear_model.LogisticRegression()),
        "one_versus_one": multiclass.OneVsOneClassifier(linear_model.LogisticRegression()),
        "calibrated": calibration.CalibratedClassifierCV(tree.DecisionTreeClassifier(max_depth=3)),
        "gaussian_process": gaussian_process.GaussianProcessClassifier(),
    }
    for name, model in kinds.items():
        for classes, labels in (("two", two), ("three", three), ("text", text)):
            if name == "gaussian_process" and classes != "two":
                continue
            options = {} if name == "linear_svc" else PLAIN
            yield Kind(f"{name}_{classes}", model, (x, labels), x, options=options)
    for name in ("logistic_regression", "random_forest"):
        for classes, labels in (("two", two), ("text", text)):
            yield Kind(f"{name}_{classes}_zip_map", kinds[name], (x, labels), x)
        wide = x.astype(np.float64)
        yield Kind(f"{name}_double", kinds[name], (x, two), wide, options=PLAIN)
    for bayes in (naive_bayes.MultinomialNB(), naive_bayes.ComplementNB()):
        name = type(bayes).__name__.lower()
        yield Kind(name, bayes, (counts, three), counts, options=PLAIN)


def regressors():
    kinds = {
        "linear_regression": linear_model.LinearRegression(),
        "ridge": linear_model.Ridge(),
        "lasso": linear_model.Lasso(0.01),
        "elastic_net": linear_model.ElasticNet(0.01),
        "sgd_regressor": linear_model.SGDRegressor(random_state=0),
        "bayesian_ridge": linear_model.BayesianRidge(),
        "huber": linear_model.HuberRegressor(),
        "poisson": linear_model.PoissonRegressor(),
        "svr_rbf": svm.SVR(),
        "svr_linear": svm.SVR(kernel="linear"),
        "linear_svr": svm.LinearSVR(),
        "nu_svr": svm.NuSVR(),
        "tree_regressor": tree.DecisionTreeRegressor(random_state=0),
        "forest_regressor": ensemble.RandomForestRegressor(20, random_state=0),
        "extra_trees_regressor": ensemble.ExtraTreesRegressor(20, random_state=0),
        "boosting_regressor": ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0),
        "hist_boosting_regressor": ensemble.HistGradientBoostingRegressor(max_iter=20),
        "ada_boost_regressor": ensemble.AdaBoostRegressor(n_estimators=5, random_state=0),
        "neighbours_regressor": neighbors.KNeighborsRegressor(3),
        "mlp_regressor": neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=100, random_state=0),
        # Terms of 6e4 that cancel to an answer of 1: onnxruntime itself is 2e-3 from the exact one.
        "gaussian_process_regressor": gaussian_process.GaussianProcessRegressor(alpha=0.1),
    }
    for name, model in kinds.items():
        label = np.exp(number) if name == "poisson" else number
        yield Kind(name, model, (x, label), x)
    each = multioutput.MultiOutputRegressor(linear_model.Ridge())
    yield Kind("multi_output_regressor", each, (x, numbers), x)
    yield Kind("linear_two_targets", linear_model.LinearRegression(), (x, numbers), x)
    forest = ensemble.RandomForestRegressor(20, random_state=0)
    yield Kind("forest_two_targets", forest, (x, numbers), x)


def others():
    for name, model, given in (
        ("isolation_forest", ensemble.IsolationForest(n_estimators=10, random_state=0), x),
        ("one_class_svm", svm.OneClassSVM(nu=0.2), x),
        ("outlier_factor", neighbors.LocalOutlierFactor(novelty=True), x),
        ("k_means", cluster.KMeans(4, n_init=3, random_state=0), x),
        ("mini_batch_k_means", cluster.MiniBatchKMeans(4, n_init=3, random_state=0), x),
        ("gaussian_mixture", mixture.GaussianMixture(3, random_state=0), x),
        ("pca", decomposition.PCA(3), x),
        ("pca_whitened", decomposition.PCA(3, whiten=True), x),
        ("truncated_svd", decomposition.TruncatedSVD(3), x),
        ("standard_scaler", preprocessing.StandardScaler(), x),
        ("min_max_scaler", preprocessing.MinMaxScaler(), x),
        ("max_abs_scaler", preprocessing.MaxAbsScaler(), x),
        ("robust_scaler", preprocessing.RobustScaler(), x),
        ("power_transformer", preprocessing.PowerTransformer(), x),
        ("normalizer_l1", preprocessing.Normalizer("l1"), x),
        ("normalizer_l2", preprocessing.Normalizer("l2"), x),
        ("normalizer_max", preprocessing.Normalizer("max"), np.abs(x)),
        ("binarizer", preprocessing.Binarizer(threshold=0.5), x),
        ("k_bins_one_hot", preprocessing.KBinsDiscretizer(4, encode="onehot-dense"), x),
        ("k_bins_ordinal", preprocessing.KBinsDiscretizer(4, encode="ordinal"), x),
        ("polynomial_features", preprocessing.PolynomialFeatures(2), x),
        ("one_hot_text", preprocessing.OneHotEncoder(handle_unknown="ignore"), words),
        ("one_hot_drop", preprocessing.OneHotEncoder(drop="first"), words),
        ("one_hot_int", preprocessing.OneHotEncoder(handle_unknown="ignore"), whole),
        ("ordinal_text", preprocessing.OrdinalEncoder(), words),
        ("ordinal_int", preprocessing.OrdinalEncoder(), whole),
        ("simple_imputer_mean", impute.SimpleImputer(), holes),
        ("simple_imputer_median", impute.SimpleImputer(strategy="median"), holes),
        ("simple_imputer_text", impute.SimpleImputer(strategy="most_frequent"), words),
        # Branches by values of a request, whose results differ in the number of axes.
        ("knn_imputer", impute.KNNImputer(n_neighbors=2), holes),
        ("variance_threshold", feature_selection.VarianceThreshold(0.5), x),
        ("random_trees_embedding", ensemble.RandomTreesEmbedding(5, random_state=0), x),
    ):
        opset = {"": 17, "ai.onnx.ml": 3} if name == "isolation_forest" else None
        yield Kind(name, model, (given,), given, opset=opset)
    yield Kind("select_k_best", feature_selection.SelectKBest(k=3), (x, two), x)
    yield Kind("label_encoder", preprocessing.LabelEncoder(), (words[:, 0],), words[:, 0])
    yield Kind("label_binarizer", preprocessing.LabelBinarizer(), (whole[:, 0],), whole[:, 0])
    counter = feature_extraction.text.CountVectorizer()
    sentences = np.array([" ".join(pair) for pair in words])
    yield Kind("count_vectorizer", counter, (sentences,), sentences)


def pipelines():
    mixed = compose.ColumnTransformer(
        [
            ("numbers", preprocessing.StandardScaler(), ["size", "weight"]),
            ("words", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["colour", "shape"]),
        ]
    )
    steps = lambda *models: pipeline.make_pipeline(*models)
    logistic = linear_model.LogisticRegression()
    forest = ensemble.RandomForestClassifier(10, random_state=0)
    for name, model, taught in (
        ("pipe_scaled_logistic", steps(preprocessing.StandardScaler(), logistic), (x, two)),
        ("pipe_pca_svc", steps(preprocessing.StandardScaler(), decomposition.PCA(4), svm.SVC()), (x, three)),
        ("pipe_imputed_forest", steps(impute.SimpleImputer(), forest), (holes, two)),
        ("pipe_polynomial_logistic", steps(preprocessing.PolynomialFeatures(2), logistic), (x, two)),
        ("pipe_table_logistic", steps(mixed, logistic), (table, two)),
        ("pipe_table_forest_text", steps(mixed, forest), (table, text)),
    ):
        yield Kind(name, model, taught, taught[0], options=PLAIN)
    union = pipeline.FeatureUnion(
        [("scaled", preprocessing.StandardScaler()), ("reduced", decomposition.PCA(2))]
    )
    yield Kind("feature_union", union, (x,), x)


def boosted():
    light = {"n_estimators": 30, "verbose": -1, "random_state": 0}
    for name, model, labels, options in (
        ("lightgbm_two", lightgbm.LGBMClassifier(**light), two, PLAIN),
        ("lightgbm_three", lightgbm.LGBMClassifier(**light), three, PLAIN),
        ("lightgbm_zip_map", lightgbm.LGBMClassifier(**light), two, {}),
        ("lightgbm_regressor", lightgbm.LGBMRegressor(**light), number, PLAIN),
        ("lightgbm_forest", lightgbm.LGBMClassifier(
            boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, **light), two, PLAIN),
        ("lightgbm_poisson", lightgbm.LGBMRegressor(objective="poisson", **light), np.exp(number), PLAIN),
    ):
        yield Kind(name, model, (x, labels), x, "lightgbm", options)
    asked = np.concatenate([counts[:, :4], holes[:, 4:]], axis=1)
    categorical = lightgbm.LGBMClassifier(min_child_samples=5, categorical_feature=[0, 1, 2], **light)
    yield Kind("lightgbm_categorical", categorical, (asked, two), asked, "lightgbm", PLAIN)
    for name, model, labels, given in (
        ("xgboost_two", xgboost.XGBClassifier(n_estimators=30), two, x),
        ("xgboost_three", xgboost.XGBClassifier(n_estimators=30), three, x),
        ("xgboost_missing", xgboost.XGBClassifier(n_estimators=30), two, holes),
        ("xgboost_regressor", xgboost.XGBRegressor(n_estimators=30), number, x),
        ("xgboost_logistic_regressor", xgboost.XGBRegressor(n_estimators=9, objective="reg:logistic"), two, x),
        ("xgboost_poisson", xgboost.XGBRegressor(n_estimators=9, objective="count:poisson"), np.exp(number), x),
        ("xgboost_forest", xgboost.XGBRFClassifier(n_estimators=30), two, x),
    ):
        yield Kind(name, model, (given, labels), given, "xgboost")


def kinds():
    for family in (classifiers, regressors, others, pipelines, boosted):
        yield from family()
